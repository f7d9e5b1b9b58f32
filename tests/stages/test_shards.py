"""Tokens in files."""

import gc
import os
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from mgbench.stages.shards import ShardedTokens, Shards, as_stored, as_used, fits_on, rows_of_a_shard

CPU = torch.device("cpu")
VALUES = torch.randn(100, 4, 3, generator=torch.Generator().manual_seed(0))
CODES = torch.randint(1000, (100, 6), generator=torch.Generator().manual_seed(0))


def written(folder: Path, tokens: torch.Tensor, each: int) -> Shards:
    shards = Shards(folder, len(tokens), each)
    for number in range(len(shards)):
        np.save(shards.file(number), tokens[shards.rows(number)].numpy())
    return shards


@pytest.mark.parametrize("tokens", [VALUES, CODES, CODES.short()], ids=["float", "int64", "int16"])
@pytest.mark.parametrize("each", [1, 33, 50, 100, 256])
def test_rows_are_those_of_the_tensor(tokens: torch.Tensor, each: int, tmp_path: Path) -> None:
    stored = ShardedTokens([written(tmp_path, tokens, each)], CPU)
    assert (len(stored), stored.shape, stored.nbytes) == (100, tokens.shape, tokens.nbytes)
    rows = torch.randperm(100, generator=torch.Generator().manual_seed(1))[:37]
    for found in (stored, stored.held()):
        assert torch.equal(found[rows], as_used(tokens[rows]))
    assert torch.equal(torch.cat(list(stored.batches(13))), as_used(tokens))


def test_several_caches_follow_each_other(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    parts = [written(tmp_path, VALUES, 30), written(tmp_path / "b", VALUES.flip(0), 40)]
    stored = ShardedTokens(parts, CPU)
    assert torch.equal(stored[torch.tensor([0, 99, 100, 199])], VALUES[[0, 99, 99, 0]])
    assert len(stored.held()) == 200


@pytest.mark.parametrize("codes", [2, 256, 257, 32768, 32769, 2**31])
def test_codes_are_kept_short_and_whole(codes: int) -> None:
    tokens = torch.tensor([[0, codes - 1]])
    stored = as_stored(tokens, codes, "float32")
    assert stored.element_size() == (1 if codes <= 256 else 2 if codes <= 32768 else 4)
    assert torch.equal(as_used(stored), tokens)


def test_values_are_kept_in_their_precision() -> None:
    assert torch.equal(as_used(as_stored(VALUES, None, "float32")), VALUES)
    half = as_used(as_stored(VALUES, None, "float16"))
    assert half.dtype == torch.float32
    assert torch.equal(half, VALUES.half().float())


def test_shards_hold_whole_batches() -> None:
    assert rows_of_a_shard(8192, 256) == 32768
    assert rows_of_a_shard(2**30, 256) == 256
    assert rows_of_a_shard(16, 256) % 256 == 0


def test_nothing_but_a_gpu_holds_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not fits_on(CPU, 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 4000))
    assert fits_on(torch.device("cuda"), 499)
    assert not fits_on(torch.device("cuda"), 500), "as much again has to be left for the model"


def test_memory_does_not_grow_with_what_is_read(tmp_path: Path) -> None:
    """Half a GiB of files that are almost all holes are read whole, in order and at random."""
    shards = Shards(tmp_path, 2**16, 2**15)
    for file in shards.files:
        np.lib.format.open_memmap(file, mode="w+", dtype=np.float16, shape=(2**15, 256, 16)).flush()
        assert file.stat().st_blocks * 512 < 2**24
    stored = ShardedTokens([shards], CPU)
    gc.collect()
    process = psutil.Process()
    before, most = process.memory_info().rss, 0
    for number, batch in enumerate(stored.batches(2048)):
        assert not batch.any()
        most = max(most, process.memory_info().rss) if number % 8 == 0 else most
    for seed in range(20):
        rows = torch.randint(len(stored), (256,), generator=torch.Generator().manual_seed(seed))
        assert not stored[rows].any()
        most = max(most, process.memory_info().rss)
    # A batch of 2,048 rows is 16 MiB as it is stored and 32 MiB as float32.
    assert most - before < 2**27


def test_rows_that_are_not_there_and_a_file_that_was_cut_are_errors(tmp_path: Path) -> None:
    shards = written(tmp_path, VALUES, 40)
    stored = ShardedTokens([shards], CPU)
    for rows in ([100], [-1], [3, 2**40]):
        with pytest.raises(IndexError, match="the tokens have 100 rows"):
            stored[torch.tensor(rows)]
    os.truncate(shards.file(2), 200)
    assert torch.equal(stored[torch.tensor([7])], VALUES[7:8])
    with pytest.raises(OSError, match="cut short"):
        stored[torch.tensor([99])]
