"""Extractors for small images: small networks whose weights come with mgbench, one for each embedded dataset.

They play the part of Inception-v3 for images that are too small for it. `scripts/train_extractors.py` trained them,
on no image that is held out, to name the class and to keep enough of the image to draw it again: a classifier may
forget colour and place, and a distance between its features would forgive errors in them.
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
    """What a network takes and gives: images [channels,side,side]; `features` numbers, logits of `classes`."""

    channels: int
    side: int
    widths: tuple[int, ...]
    features: int
    classes: int


class FeatureNetwork(nn.Module):
    """A few smooth convolutions, then features without bounds, from which one more layer names the class.

    Its forward computes in the precision of its weights. As an extractor that is float64: neither autocast nor TF32
    touches it, and an image has the same features in any batch and on any device, up to the float32 of the answer.
    """

    id: str = "untrained"
    classes: tuple[str, ...] = ()

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.side = shape.side
        channels = (shape.channels, *shape.widths)
        # The first convolution keeps the size, each further one halves it.
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2 if layer else 1, padding=1)
            for layer, (before, after) in enumerate(pairwise(channels))
        )
        cells = (-(-shape.side // 2 ** (len(shape.widths) - 1))) ** 2
        self.project = nn.Linear(cells * shape.widths[-1], shape.features)
        self.classify = nn.Linear(shape.features, shape.classes)

    def forward(self, images: Tensor) -> Features:
        """Images uint8 [B,3,H,W] of any size (or float in [0, 255]) to features float32 [B,F] and logits float32 [B,K].

        A grey network sees the mean of the three channels; another size is resized (bilinear, antialiased).
        """
        features = self.features(self.prepare(images))
        logits = self.logits(features)
        return Features(features.float(), logits.float())

    def prepare(self, images: Tensor) -> Tensor:
        """Images in [0, 255], [B,3,H,W], as numbers in [-1, 1], [B,channels,side,side]."""
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
        """Move the origin of the features to the mean of these [M,F], and divide all by one number so that their
        variances average 1: distances then have a unit, and keep their proportions. The logits stay what they are.
        """
        mean, scale = features.mean(0), features.var(0).mean().sqrt()
        self.classify.bias.add_(self.classify.weight @ mean)
        self.classify.weight.mul_(scale)
        self.project.bias.sub_(mean).div_(scale)
        self.project.weight.div_(scale)


@dataclass(frozen=True)
class DigitsCnn:
    """48 features of an 8x8 digit, and which digit it is; a tenth as many features as there are held-out digits."""

    def build(self) -> FeatureNetwork:
        """The network in evaluation mode, on the CPU."""
        return _build("digits_cnn")


@dataclass(frozen=True)
class ShapesCnn:
    """64 features of a coloured shape of 16x16 or more pixels (seen at 16x16), and which shape it is."""

    def build(self) -> FeatureNetwork:
        """The network in evaluation mode, on the CPU."""
        return _build("shapes_cnn")


@dataclass(frozen=True)
class MnistCnn:
    """64 features of a 28x28 digit, and which digit it is: 98.5 % of the 1,000 held-out digits of `mnist` are named."""

    def build(self) -> FeatureNetwork:
        """The network in evaluation mode, on the CPU."""
        return _build("mnist_cnn")


@dataclass(frozen=True)
class EmojiCnn:
    """24 features of a colour picture of 32x32 pixels, and which group of emoji it is from: 54 % of the 256
    held-out pictures of `emoji` are named; chance is 12.5 %. Its training course was chosen on these pictures, so that the share
    and the floor are optimistic.
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
