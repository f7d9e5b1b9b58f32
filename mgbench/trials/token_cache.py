"""Cached tokens of training images in the results folder, encoded once for all trainings that use them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mgbench.interfaces.data import UNLABELLED
from mgbench.interfaces.engine import StageProgress
from mgbench.interfaces.images import HELD_BYTES, LazyImages, taken
from mgbench.interfaces.modules import TokenizerModule
from mgbench.interfaces.progress import UNREPORTED, Advance, Progress
from mgbench.interfaces.ranks import ALONE, Team
from mgbench.recipes.keys import digest
from mgbench.recipes.stage_code import code_of
from mgbench.registry.resolve import Assembly
from mgbench.results.files import sha256, write, write_text
from mgbench.results.schema import Corrupt, read_sealed, seal
from mgbench.results.store import MANIFEST, TOKENS, Store
from mgbench.stages.shards import ShardedTokens, Shards, Tokens, as_stored, fits_on, rows_of_a_shard
from mgbench.stages.tokenize import BATCH, encode
from mgbench.stages.train import sides, training_data

_CODE = ("mgbench.stages.tokenize:encode", "mgbench.stages.shards:as_stored")


@dataclass(frozen=True)
class TokenCache:
    """The tokens of all training images of a recipe, or of their mirror images, in one folder.

    The folder is complete when it has a manifest. Until then every finished shard has its checksum beside it, so that
    what was encoded before a stop, or by another process, is not encoded again.
    """

    store: Store
    assembly: Assembly
    tokenizer: TokenizerModule
    mirrored: bool = False

    @cached_property
    def facts(self) -> dict[str, object]:
        """Everything that the tokens depend on, by name."""
        return {
            "tokenizer": self.assembly.keys.tokenizer,
            "weights": _hash(self.tokenizer),
            "data": self.assembly.data.fingerprint,
            "mirrored": self.mirrored,
            "precision": self.assembly.recipe.token_precision,
            "code": code_of((), _CODE, "model")[0],
        }

    @property
    def folder(self) -> Path:
        """The folder of the tokens."""
        return self.store.layout.tokens(digest(self.facts))

    @property
    def shards(self) -> Shards:
        """The files of the tokens."""
        return Shards(self.folder, len(self.assembly.data.train), rows_of_a_shard(self.row_bytes, BATCH))

    @property
    def row_bytes(self) -> int:
        """The stored size of the tokens of one image in bytes."""
        space = self.tokenizer.space
        shape = (1, space.length) if space.codes else (1, space.length, space.dim)
        return as_stored(torch.zeros(shape), space.codes, self.assembly.recipe.token_precision).nbytes

    def fill(self, device: torch.device, first: int = 0, advance: Advance = UNREPORTED) -> None:
        """Encode every missing shard, starting with the shard `first` and wrapping around.

        Several processes that begin at different shards share the work. `advance` is called first, and after every
        shard.

        Raises:
            Unwritable: if the folder cannot be written or the disk is full.
        """
        shards, images = self.shards, self.assembly.data.train
        order = [(first + place) % len(shards) for place in range(len(shards))]
        advance(self.finished(), len(shards))
        for number in order:
            if not self._has(shards, number):
                part = taken(images, shards.rows(number))
                tokens = encode(self.tokenizer, part, device, mirrored=self.mirrored)
                stored = as_stored(tokens, self.tokenizer.space.codes, self.assembly.recipe.token_precision)
                self._put(shards, number, stored.cpu().numpy())
                advance(self.finished(), len(shards))

    def _put(self, shards: Shards, number: int, tokens: np.ndarray) -> None:
        checksums: list[str] = []

        def put(path: Path) -> None:
            with path.open("wb") as file:
                np.save(file, tokens)
            checksums.append(sha256(path))

        write(shards.file(number), put)
        write_text(_beside(shards, number), seal({"sha256": checksums[0]}))

    def _has(self, shards: Shards, number: int) -> bool:
        """Whether a shard was finished; its checksum is compared when the cache is opened."""
        if (shards.folder / MANIFEST).exists():
            return True
        return shards.file(number).exists() and bool(_checksum(shards, number))

    def finished(self) -> int:
        """The number of shards that are finished."""
        shards = self.shards
        return sum(self._has(shards, number) for number in range(len(shards)))

    def finish(self) -> None:
        """Mark the folder as complete after every shard was encoded."""
        shards = self.shards
        if (shards.folder / MANIFEST).exists():
            return
        about = {
            **self.facts,
            "rows": shards.count,
            "rows of a shard": shards.each,
            "dataset": self.assembly.spelled["dataset"],
            "spelled": self.assembly.spelled["tokenizer"],
        }
        write_text(shards.folder / TOKENS, json.dumps(about, indent=1))
        small = [shards.folder / TOKENS, *(_beside(shards, number) for number in range(len(shards)))]
        checksums = {shards.file(number).name: _checksum(shards, number) for number in range(len(shards))}
        self.store.seal(shards.folder, {**{path.name: sha256(path) for path in small}, **checksums})


def _hash(module: TokenizerModule) -> str:
    """A hash of the state of a tokenizer."""
    hashed = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        hashed.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        hashed.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return hashed.hexdigest()[:16]


def _beside(shards: Shards, number: int) -> Path:
    return shards.file(number).with_suffix(".json")


def _checksum(shards: Shards, number: int) -> str:
    """The checksum of a finished shard; empty if there is none."""
    try:
        return str(read_sealed(_beside(shards, number))["sha256"])
    except (FileNotFoundError, Corrupt, KeyError):
        return ""


def caches_of(store: Store, assembly: Assembly, tokenizer: TokenizerModule) -> list[TokenCache]:
    """The caches for the training of a recipe: of its images, and of their mirror images if they are used too."""
    return [TokenCache(store, assembly, tokenizer, mirrored) for mirrored in sides(assembly.recipe)]


def fill_caches(caches: Sequence[TokenCache], device: torch.device, progress: Progress, team: Team = ALONE) -> None:
    """Complete caches on all ranks of a team, each of which calls this.

    Raises:
        Interrupted: if the user asks to stop; what was encoded stays.
        Unwritable: if the folder cannot be written or the disk is full.
    """
    # No collectives per shard, because ranks encode different numbers of shards.
    emit = Advance(lambda done, total: progress.emit(StageProgress("encode", done, total)))
    advance = progress.batches("encode") if team.size == 1 else emit
    for cache in caches:
        if not team.broadcast(team.is_first and cache.store.complete(cache.folder)):
            cache.fill(device, team.rank * len(cache.shards) // team.size, advance)
            team.all_gather(True)
            if team.is_first:
                cache.finish()
            team.all_gather(True)


def training_tokens(
    store: Store,
    assembly: Assembly,
    tokenizer: TokenizerModule,
    device: torch.device,
    progress: Progress,
    team: Team = ALONE,
) -> tuple[Tokens, Tensor]:
    """The tokens of all training images of a recipe and their labels int64 [M] (-1: none), on the device.

    They are read from the cache if they are there or do not fit into memory, and are encoded into it first if need be.
    Each rank of a team calls this.
    """
    caches = caches_of(store, assembly, tokenizer)
    there = team.is_first and all((cache.folder / MANIFEST).exists() for cache in caches)
    if not team.broadcast(there or _too_many(caches)):
        return training_data(tokenizer, assembly.data, assembly.recipe, device, progress.batches("encode"))
    fill_caches(caches, device, progress, team)
    tokens = ShardedTokens([cache.shards for cache in caches], device)
    labels = assembly.data.train_labels if assembly.recipe.labels else None
    known = torch.full((len(assembly.data.train),), UNLABELLED) if labels is None else labels
    return tokens.held() if fits_on(device, tokens.nbytes) else tokens, known.repeat(len(caches)).to(device)


def _too_many(caches: Sequence[TokenCache]) -> bool:
    images = caches[0].assembly.data.train
    return isinstance(images, LazyImages) or len(images) * sum(cache.row_bytes for cache in caches) > HELD_BYTES
