"""Image files that come with mgbench, and how a dataset is cut into what is trained on and what is held out."""

import io
import lzma
from functools import cache
from importlib.resources import files

import numpy as np
import torch
from torch import Tensor

from mgbench.interfaces.randomness import Streams


@cache
def packed(name: str) -> Tensor:
    """The array of `images/<name>.npy.xz` as a tensor of its shape and dtype (images uint8 [M,H,W] or [M,3,H,W])."""
    content = lzma.decompress(files(__package__).joinpath("images", f"{name}.npy.xz").read_bytes())
    return torch.from_numpy(np.load(io.BytesIO(content), allow_pickle=False))


def held_out(labels: Tensor, each: int, name: str) -> Tensor:
    """A balanced split, bool [M]: of every class in labels int64 [M], the `each` images that come first in one shuffled
    order. The order depends on `name` and on no option.
    """
    order = Streams.root(0, f"{name}/split").fold(torch.arange(len(labels))).uniform(1)[:, 0]
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for label in set(labels.tolist()):
        members = (labels == label).nonzero()[:, 0]
        chosen[members[order[members].argsort()][:each]] = True
    return chosen


def by_turns(images: Tensor) -> tuple[Tensor, Tensor]:
    """Images [K,M,C,H,W'] of K classes as [M·K,C,H,W'], and their labels int64: 0, 1, …, K − 1, 0, 1, …

    The first so many of them then hold every class as often, to one.
    """
    classes, each = images.shape[:2]
    return images.transpose(0, 1).flatten(0, 1).contiguous(), torch.arange(classes).repeat(each)
