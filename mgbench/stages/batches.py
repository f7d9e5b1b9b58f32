"""The order of training images, and the uses of random numbers in a step."""

from functools import lru_cache

import torch
from torch import Generator, Tensor

from mgbench.interfaces.randomness import derive


def batch_rows(seed: int, step: int, batch: int, count: int) -> Tensor:
    """Rows int64 [B], B = `batch`, of a training step: all `count` rows in a new order each epoch; batches may span
    epochs.
    """
    first, last = step * batch, (step + 1) * batch
    epochs = range(first // count, (last - 1) // count + 1)
    # Pieces are cut out before they are joined, because an epoch may have millions of rows.
    orders = [(_permutation(seed, epoch, count), epoch * count) for epoch in epochs]
    return torch.cat([rows[max(0, first - start) : last - start] for rows, start in orders])


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, count: int) -> Tensor:
    return torch.randperm(count, generator=Generator().manual_seed(derive(seed, f"order/{epoch}")))


def purpose_of(step: int, share: int) -> str:
    """The purpose of random numbers; those of the first share are those of a batch in one share."""
    return f"train/{step}/{share}" if share else f"train/{step}"
