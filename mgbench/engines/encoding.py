"""Caches of tokens made by several processes, one for each device."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from mgbench.engines.process import set_up_process
from mgbench.errors import UserError
from mgbench.interfaces.progress import UNREPORTED, Advance, Progress
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.source import Source
from mgbench.registry.loading import load
from mgbench.registry.resolve import Assembly, assemble
from mgbench.results.store import Store
from mgbench.trials.fit import fitted_tokenizer
from mgbench.trials.plan import Row
from mgbench.trials.token_cache import TokenCache, caches_of

# Seconds between two looks at what the processes have finished.
_LOOK = 0.2


@dataclass(frozen=True)
class Share:
    """The part of one process: the device it encodes on, and the share of the shards after which it begins."""

    sources: tuple[Source, ...]
    root: Path
    recipe: Recipe
    mirrored: bool
    device: str
    begins: float


def distinct_caches(store: Store, rows: Iterable[Row], device: torch.device) -> Iterator[TokenCache]:
    """The caches that the trainings of these rows read, each once; tokenizers are fitted on the device first, if need be."""
    known: set[Path] = set()
    for assembly in _trained(rows):
        tokenizer = fitted_tokenizer(store, assembly, device, Progress()).tokenizer
        for cache in caches_of(store, assembly, tokenizer):
            if cache.folder not in known:
                known.add(cache.folder)
                yield cache


def _trained(rows: Iterable[Row]) -> Iterator[Assembly]:
    """The assemblies of rows that can be trained."""
    for row in rows:
        if row.about == "images" and not row.assembly.unfit and not row.assembly.recipe.weights:
            yield row.assembly


def make_cache(cache: TokenCache, sources: tuple[Source, ...], devices: Sequence[str], advance: Advance) -> bool:
    """Make a cache complete, with a process for each device beyond one; whether there was anything to do.

    `advance` is called with the number of finished shards and of all.

    Raises:
        UserError: if one of the processes failed.
        Unwritable: if the folder cannot be written or the disk is full.
    """
    if cache.store.complete(cache.folder):
        return False
    if len(devices) == 1:
        cache.fill(torch.device(devices[0]), advance=advance)
    else:
        shares = [
            Share(sources, cache.store.root, cache.assembly.recipe, cache.mirrored, device, number / len(devices))
            for number, device in enumerate(devices)
        ]
        with _processes(work, shares) as running:
            while any(process.is_alive() for process in running):
                advance(cache.finished(), len(cache.shards))
                time.sleep(_LOOK)
        if any(process.exitcode for process in running):
            raise UserError("a process that encoded ended early, as it says above; the same command goes on")
    cache.finish()
    return True


@contextmanager
def _processes(target: Callable[[Share], None], shares: Iterable[Share]) -> Iterator[list[BaseProcess]]:
    """A running process for each share; those that are left at the end are ended."""
    started: list[BaseProcess] = []
    for share in shares:
        started.append(get_context("spawn").Process(target=target, args=(share,)))
        started[-1].start()
    try:
        yield started
    finally:
        for process in started:
            process.terminate()
            process.join()


def work(share: Share) -> None:
    """Encode shards of a cache until all are there; the main function of a process."""
    set_up_process()
    device, store = torch.device(share.device), Store(share.root)
    assembly = assemble(load(share.sources), share.recipe)
    tokenizer = fitted_tokenizer(store, assembly, device, Progress()).tokenizer
    cache = TokenCache(store, assembly, tokenizer, share.mirrored)
    cache.fill(device, int(share.begins * len(cache.shards)), UNREPORTED)
