"""Data exchanged between components: real images, the space of their tokens, and the features that metrics compare.

Symbols as in `mgbench.interfaces.components`.
"""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from mgbench.interfaces.torch_module import Module

if TYPE_CHECKING:
    from torch import Tensor

    from mgbench.interfaces.images import Images


UNLABELLED = -1


@dataclass(frozen=True)
class TokenSpace:
    """The tokens of an image: `length` of them, each one of `codes` codes or a vector of `dim` numbers."""

    length: int
    dim: int
    codes: int | None = None
    grid: tuple[int, int] | None = None


@dataclass(frozen=True)
class ImageData:
    """Real images uint8 [M,C,H,W'] and their labels int64 [M] (None: no labels), for training and held out.

    Images that fit in memory are tensors; others are read on access (`mgbench.interfaces.images`). `notes` are
    sentences about files that were left out or converted.
    """

    train: "Images"
    train_labels: "Tensor | None"
    test: "Images"
    test_labels: "Tensor | None"
    class_names: tuple[str, ...] = ()
    licence: str = ""
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image."""
        _, channels, height, width = self.train.shape
        return channels, height, width

    @cached_property
    def class_counts(self) -> tuple[int, ...]:
        """The number of training images of each class; empty without labels."""
        if self.train_labels is None:
            return ()
        return tuple(self.train_labels.bincount(minlength=len(self.class_names)).tolist())

    @cached_property
    def fingerprint(self) -> str:
        """A hash of every pixel and label (16 hexadecimal digits); of images that are not held, of the hash of each."""
        hashed = hashlib.sha256()
        for part in (self.train, self.train_labels, self.test, self.test_labels):
            if part is not None:
                hashed.update(repr((tuple(part.shape), part.dtype)).encode())
                content: Any = getattr(part, "digests", part)
                hashed.update(content.contiguous().numpy().tobytes())
        return hashed.hexdigest()[:16]


@dataclass(frozen=True)
class Statistics:
    """The mean [F] and covariance [F,F] of features, float64, of `count` images (0: unknown) that are not available."""

    mean: "Tensor"
    covariance: "Tensor"
    count: int = 0


@dataclass(frozen=True)
class Features:
    """Features float [M,F] of M images and, where the extractor has them, class logits [M,K] and spatial features [M,S]
    (a few channels at every position); `labels` int64 [M] are the labels that the images were requested for.

    `images` uint8 [M,3,H,W'] and the `extractor` are for metrics that read pixels. A reference made of published
    statistics has `statistics` (and perhaps `spatial_statistics`), and few rows or none. A reference of training images
    has `held_out`, the features of images that no model was trained on.
    """

    features: "Tensor"
    logits: "Tensor | None" = None
    labels: "Tensor | None" = None
    spatial: "Tensor | None" = None
    images: "Images | None" = None
    extractor: "ExtractorModule | None" = None
    statistics: Statistics | None = None
    spatial_statistics: Statistics | None = None
    held_out: "Features | None" = None

    def first(self, count: int) -> "Features":
        """The features [count,F] of the first `count` images."""
        return self.taken(slice(count))

    def taken(self, rows: "Tensor | slice") -> "Features":
        """The features of the images selected by `rows`, int64 [B] or a slice, in that order."""
        names = ("logits", "labels", "spatial", "images")
        found: dict[str, Any] = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        # Images that are not held stay unread.
        some = {name: getattr(part, "taken", part.__getitem__)(rows) for name, part in found.items()}
        return replace(self, features=self.features[rows], **some)


class ExtractorModule(Module, Protocol):
    """A `torch.nn.Module` in evaluation mode; `id` is its name with a hash of its weights.

    `plain`, `classes` and `side` are optional (`mgbench.interfaces.optional`).
    """

    id: str

    def __call__(self, images: "Tensor") -> Features:
        """Features (and logits) of images uint8 [B,3,H,W']."""
