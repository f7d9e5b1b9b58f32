"""Tokens in files: shards with equal numbers of rows, from which rows are read on access."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

Precision = Literal["float32", "float16"]
# Approximate size of a shard in bytes: small enough that an interruption loses little, and large enough for few files.
SHARD_BYTES = 2**28


class Tokens(Protocol):
    """Tokens of M images, in memory (a tensor) or on the disk (`ShardedTokens`)."""

    def __len__(self) -> int:
        """The number of images M."""

    def __getitem__(self, rows: Tensor) -> Tensor:
        """The tokens int64 [B,N] or float32 [B,N,D] of rows int64 [B], on the device of the training."""


def as_stored(tokens: Tensor, codes: int | None, precision: Precision) -> Tensor:
    """Convert tokens [B,N] or [B,N,D] for storage: codes to the smallest integer type, vectors to floats of this
    precision.
    """
    if codes is None:
        return tokens.to(getattr(torch, precision))
    return tokens.to(
        next(short for short in (torch.uint8, torch.int16, torch.int32) if codes <= torch.iinfo(short).max + 1)
    )


def as_used(tokens: Tensor) -> Tensor:
    """Convert stored tokens [B,N] or [B,N,D] for models: codes to int64, vectors to float32."""
    return tokens.float() if tokens.is_floating_point() else tokens.long()


@dataclass(frozen=True)
class Shards:
    """The files of `count` rows in a folder, `each` rows in every file but the last."""

    folder: Path
    count: int
    each: int

    def __len__(self) -> int:
        return -(-self.count // self.each)

    def file(self, number: int) -> Path:
        """The file of a shard, in NumPy's format."""
        return self.folder / f"tokens-{number:05}.npy"

    def rows(self, number: int) -> slice:
        """The rows of a shard."""
        return slice(number * self.each, min(self.count, (number + 1) * self.each))

    @property
    def files(self) -> list[Path]:
        """The files of all shards, in order."""
        return [self.file(number) for number in range(len(self))]


def rows_of_a_shard(row_bytes: int, batch: int) -> int:
    """The number of rows per shard, a multiple of the batch, so that encoding uses the same batches with and without
    shards.
    """
    return max(1, SHARD_BYTES // (row_bytes * batch)) * batch


class ShardedTokens:
    """Tokens [M,N] or [M,N,D] in shards, from which rows are read to a device on access.

    Rows are read and not mapped into memory: a page fault maps up to 2 MiB of a cached file, which then counts as
    memory of this process, so that a batch of 2,048 rows of 8 kB would seem to take 2 GiB (Linux 6.18).
    """

    def __init__(self, parts: Sequence[Shards], device: torch.device) -> None:
        self.device = device
        self._arrays = [np.load(file, mmap_mode="r") for shards in parts for file in shards.files]
        self._starts = np.cumsum([0, *map(len, self._arrays)])
        self._files = [Path(array.filename).open("rb", buffering=0) for array in self._arrays]  # noqa: SIM115 - kept open

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def shape(self) -> tuple[int, ...]:
        """M, N and perhaps D."""
        return (len(self), *self._arrays[0].shape[1:])

    @property
    def nbytes(self) -> int:
        """The bytes of all tokens as they are stored."""
        return sum(array.nbytes for array in self._arrays)

    def __getitem__(self, rows: Tensor) -> Tensor:
        """The tokens int64 [B,N] or float32 [B,N,D] of rows int64 [B], on the device.

        Raises:
            IndexError: if there is no such row.
            OSError: if a file became shorter.
        """
        wanted = rows.cpu().numpy()
        if len(wanted) and not (wanted.min() >= 0 and wanted.max() < len(self)):
            raise IndexError(f"the tokens have {len(self)} rows, and not all of {wanted.min()} to {wanted.max()}")
        found = np.empty((len(wanted), *self.shape[1:]), self._arrays[0].dtype)
        into, each = found.reshape(-1).view(np.uint8), found[:1].nbytes
        places = [self._place(first, count, each) for first, count in _runs(wanted, self._starts)]
        if hasattr(os, "posix_fadvise"):
            # Issue all reads at once instead of one after the other.
            for file, start, length in places:
                os.posix_fadvise(file, start, length, os.POSIX_FADV_WILLNEED)
        done = 0
        for file, start, length in places:
            if os.preadv(file, [into[done : done + length].data], start) != length:
                raise OSError(f"a file of tokens has no {length} bytes at {start}; it was cut short while it was read")
            done += length
        return as_used(torch.from_numpy(found).to(self.device))

    def _place(self, first: int, count: int, each: int) -> tuple[int, int, int]:
        """The file, the offset and the number of bytes of some rows."""
        number = int(np.searchsorted(self._starts, first, side="right")) - 1
        start = self._arrays[number].offset + (first - int(self._starts[number])) * each
        return self._files[number].fileno(), start, count * each

    def batches(self, size: int) -> Iterator[Tensor]:
        """Yield all tokens in order, [B,N] or [B,N,D] with B = `size`, converted as by `__getitem__`."""
        for rows in torch.split(torch.arange(len(self)), size):
            yield self[rows]

    def held(self) -> "HeldTokens":
        """The same tokens copied to the device, as they are stored."""
        dtype = torch.from_numpy(np.empty(0, self._arrays[0].dtype)).dtype
        whole = torch.empty(self.shape, dtype=dtype, device=self.device)
        for start, array in zip(self._starts.tolist(), self._arrays, strict=False):
            whole[start : start + len(array)] = torch.from_numpy(
                np.fromfile(array.filename, array.dtype, offset=array.offset).reshape(array.shape)
            )
        return HeldTokens(whole)


@dataclass(frozen=True)
class HeldTokens:
    """Tokens on a device in their stored type, converted for models on access."""

    stored: Tensor

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, rows: Tensor) -> Tensor:
        """The tokens int64 [B,N] or float32 [B,N,D] of rows int64 [B], on the device."""
        return as_used(self.stored[rows])


def _runs(rows: np.ndarray, ends: np.ndarray) -> Iterator[tuple[int, int]]:
    """Rows int64 [B] as runs of consecutive ones in one shard: the first row and the number of them, in order."""
    if not len(rows):
        return
    breaks = np.flatnonzero((np.diff(rows) != 1) | np.isin(rows[1:], ends)) + 1
    for first, last in zip([0, *breaks], [*breaks, len(rows)], strict=True):
        yield int(rows[first]), int(last - first)


def fits_on(device: torch.device, nbytes: int) -> bool:
    """Whether so many bytes are less than half of a GPU's free memory; other devices read from the disk."""
    return device.type == "cuda" and 2 * nbytes < torch.cuda.mem_get_info(device)[0]
