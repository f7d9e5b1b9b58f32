"""The real images that scores are measured against: the training images, or a half of the held-out ones."""

from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor

from mgbench.errors import Unfit
from mgbench.interfaces.data import ImageData
from mgbench.interfaces.images import taken
from mgbench.recipes.recipe import ReferencePart


@lru_cache(maxsize=8)
def reference_images(data: ImageData, part: ReferencePart) -> ImageData:
    """Data whose `train` are the images of the reference, and whose `test` are other real images, for the floor.

    With `validation` and `test` these are the two halves of the held-out images, in which no model was trained.

    Raises:
        Unfit: if there are fewer than 2 held-out images to divide.
    """
    if part == "train":
        return data
    if len(data.test) < 2:
        raise Unfit(
            f"reference={part} is a half of the held-out images, and there are {len(data.test)}; take reference=train"
        )
    halves = held_out_halves(data.test_labels, len(data.test))
    ours, others = halves if part == "validation" else halves[::-1]
    labels = data.test_labels
    return replace(
        data,
        train=taken(data.test, ours),
        train_labels=None if labels is None else labels[ours],
        test=taken(data.test, others),
        test_labels=None if labels is None else labels[others],
    )


def held_out_halves(labels: Tensor | None, count: int) -> tuple[Tensor, Tensor]:
    """Two disjoint halves of the rows 0 … M − 1, int64 [M/2] and sorted, of M = `count` images with labels int64 [M].

    Images of one class go to the halves by turns, in their order, so that classes and sizes differ by at most 1.
    """
    order = torch.arange(count) if labels is None else labels.argsort(stable=True)
    return order[0::2].sort().values, order[1::2].sort().values
