"""Extractors for small images, one for each bundled data set, with bundled weights.

They replace Inception-v3 for images that are too small for it. `scripts/train_extractors.py` trained them on the
training images, to classify and to reconstruct: a pure classifier may ignore colour and position, and a distance
between its features would not see errors in them.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise

import torch
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its name everywhere

from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Extractor
from mgbench.interfaces.data import Features


@dataclass(frozen=True)
class Shape:
    """Sizes of a network: images [channels,side,side], number of features and of classes."""

    channels: int
    side: int
    widths: tuple[int, ...]
    features: int
    classes: int


class FeatureNetwork(nn.Module):
    """A small smooth convolutional network with unbounded features and a linear classifier.

    It computes in the precision of its weights. As an extractor these are float64, unaffected by autocast and TF32, so
    an image has the same features in any batch and on any device, up to float32 rounding of the result.
    """

    id: str = "untrained"
    classes: tuple[str, ...] = ()

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.side = shape.side
        channels = (shape.channels, *shape.widths)
        # The first convolution keeps the resolution, each further one halves it.
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2 if layer else 1, padding=1)
            for layer, (before, after) in enumerate(pairwise(channels))
        )
        cells = (-(-shape.side // 2 ** (len(shape.widths) - 1))) ** 2
        self.project = nn.Linear(cells * shape.widths[-1], shape.features)
        self.classify = nn.Linear(shape.features, shape.classes)

    def forward(self, images: Tensor) -> Features:
        """Images uint8 [B,3,H,W] of any size (or float in [0, 255]) to features float32 [B,F] and logits float32 [B,K].

        Grey networks use the mean of the channels; images of another size are resized (bilinear, antialiased).
        """
        features = self.features(self.prepare(images))
        logits = self.logits(features)
        return Features(features.float(), logits.float())

    def prepare(self, images: Tensor) -> Tensor:
        """Convert images [B,3,H,W] in [0, 255] to [B,channels,side,side] in [-1, 1]."""
        pixels = images.to(self.project.weight.dtype) / 127.5 - 1
        if self.shape.channels == 1:
            pixels = pixels.mean(dim=1, keepdim=True)
        size = (self.shape.side, self.shape.side)
        if pixels.shape[2:] != size:
            pixels = F.interpolate(pixels, size, mode="bilinear", antialias=True, align_corners=False)
        return pixels

    def features(self, pixels: Tensor) -> Tensor:
        """The features [B,F] of prepared images [B,channels,side,side]."""
        for convolution in self.convolutions:
            pixels = F.silu(convolution(pixels))
        features: Tensor = self.project(pixels.flatten(1))
        return features

    def logits(self, features: Tensor) -> Tensor:
        """The class logits [B,K] of features [B,F]."""
        logits: Tensor = self.classify(features)
        return logits

    @torch.no_grad()
    def standardise(self, features: Tensor) -> None:
        """Shift and scale all features so that these, [M,F], have mean 0 and an average variance of 1.

        One common factor keeps the proportions of distances. The logits do not change.
        """
        mean, scale = features.mean(0), features.var(0).mean().sqrt()
        self.classify.bias.add_(self.classify.weight @ mean)
        self.classify.weight.mul_(scale)
        self.project.bias.sub_(mean).div_(scale)
        self.project.weight.div_(scale)


@dataclass(frozen=True)
class DigitsCnn:
    """48 features and class logits of 8x8 digits; a tenth as many features as held-out digits."""

    def build(self) -> FeatureNetwork:
        """The network in evaluation mode, on the CPU."""
        return _build("digits_cnn")


@dataclass(frozen=True)
class ShapesCnn:
    """64 features and class logits of coloured shapes, resized to 16x16."""

    def build(self) -> FeatureNetwork:
        """The network in evaluation mode, on the CPU."""
        return _build("shapes_cnn")


@dataclass(frozen=True)
class MnistCnn:
    """64 features and class logits of 28x28 digits; accuracy 98.5 % on the 1,000 held-out digits of `mnist`."""

    def build(self) -> FeatureNetwork:
        """The network in evaluation mode, on the CPU."""
        return _build("mnist_cnn")


@dataclass(frozen=True)
class EmojiCnn:
    """24 features and class logits of 32x32 colour images.

    Accuracy on the 256 held-out images of `emoji` is 54 % (chance: 12.5 %). Training was tuned on these images, so this
    accuracy and the floor are optimistic.
    """

    def build(self) -> FeatureNetwork:
        """The network in evaluation mode, on the CPU."""
        return _build("emoji_cnn")


SHAPES: Mapping[str, Shape] = {
    "digits_cnn": Shape(channels=1, side=8, widths=(32, 64), features=48, classes=10),
    "shapes_cnn": Shape(channels=3, side=16, widths=(24, 32, 48), features=64, classes=8),
    "mnist_cnn": Shape(channels=1, side=28, widths=(16, 24, 32, 48), features=64, classes=10),
    "emoji_cnn": Shape(channels=3, side=32, widths=(24, 32, 32, 48), features=24, classes=8),
}


CLASSES: Mapping[str, tuple[str, ...]] = {
    "digits_cnn": tuple(str(digit) for digit in range(10)),
    "shapes_cnn": ("circle", "square", "triangle", "diamond", "cross", "ring", "star", "moon"),
    "mnist_cnn": tuple(str(digit) for digit in range(10)),
    "emoji_cnn": (
        "Smileys & Emotion",
        "People & Body",
        "Animals & Nature",
        "Food & Drink",
        "Travel & Places",
        "Objects",
        "Symbols",
        "Flags",
    ),
}


def _build(name: str) -> FeatureNetwork:
    weights = _weights(name)
    network = FeatureNetwork(SHAPES[name])
    network.load_state_dict(load(weights))
    network.classes = CLASSES[name]
    network.id = f"{name}@{hashlib.sha256(weights).hexdigest()[:4]}"
    return network.double().eval().requires_grad_(False)


@cache
def _weights(name: str) -> bytes:
    return files(__package__).joinpath("weights", f"{name}.safetensors").read_bytes()


@hookimpl
def mgbench_extractors() -> Mapping[str, type[Extractor]]:
    return {"digits_cnn": DigitsCnn, "shapes_cnn": ShapesCnn, "mnist_cnn": MnistCnn, "emoji_cnn": EmojiCnn}
