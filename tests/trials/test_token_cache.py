"""The cache of tokens: written once, by whoever is there, after any stop; and trained on as what lies in memory."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mgbench.components.datasets.embedded import Digits
from mgbench.interfaces import images
from mgbench.interfaces.images import in_memory
from mgbench.interfaces.progress import Advance, Progress
from mgbench.interfaces.ranks import Team
from mgbench.recipes.recipe import Recipe
from mgbench.registry.loading import Registry, find, load
from mgbench.registry.resolve import Assembly, assemble
from mgbench.results.maintenance.inventory import unused
from mgbench.results.store import MANIFEST, Store
from mgbench.stages import shards
from mgbench.stages.shards import HeldTokens, ShardedTokens, Shards
from mgbench.stages.train import training_data
from mgbench.trials import token_cache
from mgbench.trials.fit import Fitted, fitted_model, fitted_tokenizer
from mgbench.trials.token_cache import TokenCache, caches_of, fill_caches, training_tokens
from tests import doubles
from tests.doubles import TINY

T = TypeVar("T")
CPU = torch.device("cpu")
QUIET = Progress()


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load([find(doubles.FILE)])


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """One batch of 256 images is a shard: six of the 1,297 digits."""
    monkeypatch.setattr(shards, "SHARD_BYTES", 1)


def prepared(registry: Registry, root: Path, recipe: Recipe = TINY) -> tuple[Store, Assembly, Fitted]:
    store, assembly = Store(root), assemble(registry, recipe)
    return store, assembly, fitted_tokenizer(store, assembly, CPU, QUIET)


def cache(registry: Registry, root: Path, recipe: Recipe = TINY) -> TokenCache:
    store, assembly, fitted = prepared(registry, root, recipe)
    return caches_of(store, assembly, fitted.tokenizer)[0]


CHANGES = {
    "values": TINY,
    "codes": TINY.change(tokenizer="kmeans(codes=16)", head="categorical"),
    "mirrored": TINY.change(mirror=True),
    "short": TINY.change(token_precision="float16", tokenizer="kl(width=8, steps=2)"),
}


@pytest.mark.parametrize("recipe", CHANGES.values(), ids=CHANGES)
def test_what_is_read_is_what_lies_in_memory(registry: Registry, recipe: Recipe, tmp_path: Path) -> None:
    store, assembly, fitted = prepared(registry, tmp_path, recipe)
    expected, labels = training_data(fitted.tokenizer, assembly.data, recipe, CPU)
    fill_caches(caches_of(store, assembly, fitted.tokenizer), CPU, QUIET)
    found, known = training_tokens(store, assembly, fitted.tokenizer, CPU, QUIET)
    assert isinstance(found, ShardedTokens)
    rows = torch.arange(len(found))
    assert torch.equal(found[rows], expected)
    assert found[rows].dtype == expected.dtype
    assert torch.equal(known, labels)
    assert len(labels) == 1297 * (2 if recipe.mirror else 1)


def test_mirror_images_are_encoded_and_not_mirrored_tokens(registry: Registry, tmp_path: Path) -> None:
    _, assembly, fitted = prepared(registry, tmp_path)
    tokens, _ = training_data(fitted.tokenizer, assembly.data, TINY.change(mirror=True), CPU)
    mirrored = in_memory(Digits().load().train).flip(3)
    assert torch.equal(tokens[1297:], fitted.tokenizer.encode(mirrored))


def test_a_training_on_the_cache_is_the_training_in_memory(registry: Registry, tmp_path: Path) -> None:
    found = []
    for name in ("memory", "disk"):
        store, assembly, fitted = prepared(registry, tmp_path / name)
        if name == "disk":
            fill_caches(caches_of(store, assembly, fitted.tokenizer), CPU, QUIET)
        fitted_model(store, assembly, CPU, QUIET)
        found.append(load_file(next(store.layout.model(assembly.keys.training).glob("model*.safetensors"))))
    assert all(torch.equal(found[0][name], value) for name, value in found[1].items())


def test_a_run_whose_images_do_not_fit_writes_it(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, assembly, fitted = prepared(registry, tmp_path)
    training_tokens(store, assembly, fitted.tokenizer, CPU, QUIET)
    assert not store.layout.tokens("x").parent.exists()
    monkeypatch.setattr(token_cache, "HELD_BYTES", 1000)
    found, _ = training_tokens(store, assembly, fitted.tokenizer, CPU, QUIET)
    assert isinstance(found, ShardedTokens)
    (folder,) = store.layout.tokens("x").parent.iterdir()
    assert store.complete(folder)
    about = json.loads((folder / "tokens.json").read_text())
    assert (about["rows"], about["dataset"], about["data"]) == (1297, "digits", assembly.data.fingerprint)


class Killed(BaseException):
    pass


def test_what_was_encoded_before_a_stop_is_kept(registry: Registry, tmp_path: Path) -> None:
    kept = cache(registry, tmp_path)

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise Killed

    with pytest.raises(Killed):
        kept.fill(CPU, advance=Advance(stop))
    assert not (kept.folder / MANIFEST).exists()
    before = {path: path.stat().st_mtime_ns for path in kept.folder.glob("*.npy")}
    assert len(before) == 3
    # A kill between a shard and its checksum, and one in the middle of a write.
    (kept.folder / "tokens-00001.json").unlink()
    (kept.folder / ".tokens-00003.npy.abcdefgh").write_bytes(b"half")
    told: list[tuple[int, int]] = []
    kept.fill(CPU, advance=Advance(lambda done, total: told.append((done, total))))
    kept.finish()
    assert told == [(2, 6), (3, 6), (4, 6), (5, 6), (6, 6)]
    again = {path: path.stat().st_mtime_ns for path in before}
    assert [path.name for path in before if before[path] != again[path]] == ["tokens-00001.npy"]
    assert kept.store.complete(kept.folder)


def test_several_processes_share_the_work(registry: Registry, tmp_path: Path) -> None:
    alone, shared = cache(registry, tmp_path / "alone"), cache(registry, tmp_path / "shared")
    alone.fill(CPU)

    def until(last: int) -> Advance:
        def stop(done: int, total: int) -> None:
            if done == last:
                raise Killed

        return Advance(stop)

    for first, last in ((0, 2), (2, 4), (4, 6)):
        with pytest.raises(Killed):
            shared.fill(CPU, first, until(last))
        assert {file.name for file in shared.folder.glob("*.npy")} == {f"tokens-{n:05}.npy" for n in range(last)}
    for one, other in zip(alone.shards.files, shared.shards.files, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_a_damaged_shard_alone_is_encoded_again(registry: Registry, tmp_path: Path) -> None:
    kept = cache(registry, tmp_path)
    fill_caches([kept], CPU, QUIET)
    whole = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in kept.shards.files}
    broken = kept.shards.file(2)
    broken.write_bytes(broken.read_bytes()[:-1] + b"x")
    fill_caches([kept], CPU, QUIET)
    assert {file: file.read_bytes() for file in whole} == {file: content for file, (content, _) in whole.items()}
    assert [file for file, (_, at) in whole.items() if file.stat().st_mtime_ns != at] == [broken]
    assert (kept.folder / "tokens-00002.npy.corrupt").exists()
    assert kept.store.complete(kept.folder)


def test_other_tokens_have_other_folders(registry: Registry, tmp_path: Path) -> None:
    plain = cache(registry, tmp_path)
    folders = {
        plain.folder,
        replace(plain, mirrored=True).folder,
        cache(registry, tmp_path, TINY.change(token_precision="float16")).folder,
        cache(registry, tmp_path, TINY.change(tokenizer="patch(size=2)")).folder,
        cache(registry, tmp_path, TINY.change(dataset="shapes(size=16, train=64)")).folder,
    }
    assert len(folders) == 5
    # What only trains otherwise shares them.
    assert cache(registry, tmp_path, TINY.change(train_steps=7, seed=3, labels=False)).folder == plain.folder


def test_a_tokenizer_that_learned_something_else_has_another(registry: Registry, tmp_path: Path) -> None:
    store, assembly, fitted = prepared(registry, tmp_path, CHANGES["codes"])
    before = caches_of(store, assembly, fitted.tokenizer)[0].folder
    for value in fitted.tokenizer.state_dict().values():
        value.add_(1e-3)
    assert caches_of(store, assembly, fitted.tokenizer)[0].folder != before


def test_a_cache_that_no_row_needs_is_found(registry: Registry, tmp_path: Path) -> None:
    kept = cache(registry, tmp_path)
    fill_caches([kept], CPU, QUIET)
    assert kept.folder in unused(kept.store.layout).along


def test_lazy_images_go_through_the_cache(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.interfaces.test_images import lazily

    store, assembly, fitted = prepared(registry, tmp_path)
    data = replace(assembly.data, train=lazily(in_memory(assembly.data.train)))
    found, _ = training_tokens(store, replace(assembly, images=data), fitted.tokenizer, CPU, QUIET)
    expected, _ = training_data(fitted.tokenizer, assembly.data, TINY, CPU)
    assert isinstance(found, ShardedTokens)
    assert torch.equal(found[torch.arange(1297)], expected)
    assert np.load(next(store.layout.tokens("x").parent.glob("*/*.npy")), mmap_mode="r").shape[1:] == (4, 16)
    assert images.HELD_BYTES > 0


@pytest.mark.parametrize("change", ["values", "codes"])
def test_tokens_that_fit_are_copied_to_the_device_as_they_are_stored(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    recipe = CHANGES[change]
    store, assembly, fitted = prepared(registry, tmp_path, recipe)
    expected, _ = training_data(fitted.tokenizer, assembly.data, recipe, CPU)
    fill_caches(caches_of(store, assembly, fitted.tokenizer), CPU, QUIET)
    asked: list[int] = []
    monkeypatch.setattr(token_cache, "fits_on", lambda device, nbytes: not asked.append(nbytes))
    found, _ = training_tokens(store, assembly, fitted.tokenizer, CPU, QUIET)
    assert isinstance(found, HeldTokens)
    assert asked == [found.stored.nbytes]
    assert torch.equal(found[torch.arange(len(found))], expected)
    elsewhere = ShardedTokens(
        [kept.shards for kept in caches_of(store, assembly, fitted.tokenizer)], torch.device("meta")
    )
    there = elsewhere.held().stored
    assert (there.device.type, there.shape, there.dtype) == ("meta", found.stored.shape, found.stored.dtype)


class Rank(Team):
    """One of two ranks that are threads of this process; collectives go through a list."""

    def __init__(self, rank: int, values: list[object], barrier: threading.Barrier) -> None:
        super().__init__(rank, 2)
        self._values, self._barrier = values, barrier

    def broadcast(self, value: T) -> T:
        return self.all_gather(value)[0]

    def all_gather(self, value: T) -> list[T]:
        self._values[self.rank] = value
        self._barrier.wait(60)
        found: list[T] = list(self._values)  # type: ignore[arg-type]
        self._barrier.wait(60)
        return found


def test_the_ranks_of_a_team_share_the_work_and_read_the_same(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, assembly, fitted = prepared(registry, tmp_path)
    expected, _ = training_data(fitted.tokenizer, assembly.data, TINY, CPU)
    monkeypatch.setattr(token_cache, "HELD_BYTES", 1000)
    written: list[tuple[str, str]] = []
    put = TokenCache._put

    def noted(cache: TokenCache, found: Shards, number: int, tokens: np.ndarray) -> None:
        written.append((threading.current_thread().name, found.file(number).name))
        put(cache, found, number, tokens)

    monkeypatch.setattr(TokenCache, "_put", noted)
    values, barrier = [None, None], threading.Barrier(2)

    def rank(number: int) -> torch.Tensor:
        tokens, _ = training_tokens(store, assembly, fitted.tokenizer, CPU, QUIET, Rank(number, values, barrier))
        return tokens[torch.arange(1297)]

    with ThreadPoolExecutor(2, "rank") as pool:
        found = list(pool.map(rank, (0, 1)))
    assert all(torch.equal(tokens, expected) for tokens in found)
    assert {name for _, name in written} == {f"tokens-{number:05}.npy" for number in range(6)}
    assert len({thread for thread, _ in written}) == 2
