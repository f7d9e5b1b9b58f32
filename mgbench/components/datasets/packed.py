"""Image files bundled with mgbench, and splits into training and held-out images."""

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
    """The array in `images/<name>.npy.xz`, images uint8 [M,H,W] or [M,3,H,W]."""
    content = lzma.decompress(files(__package__).joinpath("images", f"{name}.npy.xz").read_bytes())
    return torch.from_numpy(np.load(io.BytesIO(content), allow_pickle=False))


def held_out(labels: Tensor, each: int, name: str) -> Tensor:
    """A balanced split as a mask bool [M]: the first `each` images of every class in labels int64 [M], in a shuffled
    order that depends only on `name`.
    """
    order = Streams.root(0, f"{name}/split").fold(torch.arange(len(labels))).uniform(1)[:, 0]
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for label in set(labels.tolist()):
        members = (labels == label).nonzero()[:, 0]
        chosen[members[order[members].argsort()][:each]] = True
    return chosen


def by_turns(images: Tensor) -> tuple[Tensor, Tensor]:
    """Interleave images [K,M,C,H,W'] of K classes to [M·K,C,H,W'], with labels int64 [M·K]: 0, 1, …, K − 1, 0, 1, …

    Any leading part then has equally many images of each class, up to one.
    """
    classes, each = images.shape[:2]
    return images.transpose(0, 1).flatten(0, 1).contiguous(), torch.arange(classes).repeat(each)
