"""Data sets without a download: scikit-learn's handwritten digits, and generated coloured shapes."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le
from torch import Tensor

from mgbench.components.datasets.packed import held_out
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Dataset
from mgbench.interfaces.data import ImageData
from mgbench.interfaces.randomness import Streams
from mgbench.recipes.spec import Count, Index

Side = Annotated[int, Ge(16), Le(64)]

_HELD_OUT_PER_DIGIT = 50
# Samples per pixel and axis; with edges softened over half a pixel, this is as smooth as many more hard samples.
_OVERSAMPLING = 2
# Coverage and directions are rounded to binary fractions, so that sums are exact in any order, and every machine draws
# the same bytes.
_COVERAGE_LEVELS = 16
_DIRECTION_LEVELS = 2**12
_CHUNK = 256


@dataclass(frozen=True)
class Digits:
    """The 1,797 handwritten digits of scikit-learn: grey, 8x8, 1,297 for training and 500 held out (50 of each digit).

    Sources: Kaynak (1995); Alpaydin and Kaynak (1998), doi:10.24432/C50P49.
    """

    extractor: ClassVar[str] = "digits_cnn"

    def load(self) -> ImageData:
        """Images uint8 [1297,1,8,8] and [500,1,8,8] (the 17 grey levels stretched to 0..255), labels int64 0..9."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = torch.from_numpy(digits.images).mul(255 / 16).round().to(torch.uint8)[:, None]
        labels = torch.from_numpy(digits.target).to(torch.int64)
        test = held_out(labels, _HELD_OUT_PER_DIGIT, "digits")
        return ImageData(
            train=images[~test],
            train_labels=labels[~test],
            test=images[test],
            test_labels=labels[test],
            class_names=tuple(str(digit) for digit in range(10)),
            licence="UCI Optical Recognition of Handwritten Digits (CC BY 4.0), through scikit-learn (BSD-3-Clause)",
        )


@dataclass(frozen=True)
class Shapes:
    """Coloured shapes on a graded background in eight classes; colour, position, size and tilt vary within each class.

    Image i of a split depends only on `seed`, the split and i (and on `size`, its resolution), so a larger data set
    extends a smaller one. The class is i mod 8.
    """

    size: Side = 16
    train: Count = 4000
    test: Count = 1000
    seed: Index = 0

    extractor: ClassVar[str] = "shapes_cnn"

    def load(self) -> ImageData:
        """Images uint8 [train,3,size,size] and [test,3,size,size], labels int64 0..7."""
        train, train_labels = self._draw("train", self.train)
        test, test_labels = self._draw("test", self.test)
        return ImageData(
            train=train,
            train_labels=train_labels,
            test=test,
            test_labels=test_labels,
            class_names=tuple(_DISTANCES),
            licence="Drawn by mgbench; free of any rights (CC0-1.0)",
        )

    def _draw(self, split: str, count: int) -> tuple[Tensor, Tensor]:
        index = torch.arange(count)
        labels = index % len(_DISTANCES)
        numbers = Streams.root(self.seed, f"shapes/{split}").fold(index).uniform(_NUMBERS)
        images = torch.empty(count, 3, self.size, self.size, dtype=torch.uint8)
        for label, distance in enumerate(_DISTANCES.values()):
            for rows in torch.split(index[labels == label], _CHUNK):
                images[rows] = _paint(distance, numbers[rows], self.size)
        return images, labels


# Signed distances (negative inside) of shapes that fill the square [-1, 1]²; y points down.


def _circle(x: Tensor, y: Tensor) -> Tensor:
    return _length(x, y) - 0.92


def _square(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(x.abs(), y.abs()) - 0.8


def _triangle(x: Tensor, y: Tensor) -> Tensor:
    # Upright: two slanted sides that meet at (0, -1), and a base at y = 0.75.
    slope = 1.75
    slanted = (x.abs() * slope - (y + 1)) / math.sqrt(1 + slope**2)
    return torch.maximum(slanted, y - 0.75)


def _diamond(x: Tensor, y: Tensor) -> Tensor:
    # Taller than wide, so that no rotation makes it a square.
    width = 0.62
    return (x.abs() + y.abs() * width - width) / math.sqrt(1 + width**2)


def _cross(x: Tensor, y: Tensor) -> Tensor:
    upright = torch.maximum(x.abs() - 0.3, y.abs() - 1)
    return torch.minimum(upright, torch.maximum(x.abs() - 1, y.abs() - 0.3))


def _ring(x: Tensor, y: Tensor) -> Tensor:
    return (_length(x, y) - 0.72).abs() - 0.24


def _star(x: Tensor, y: Tensor) -> Tensor:
    # Five half-planes, each excluding one tip: a point of the star is inside all of them, or all but one.
    angles = [2 * math.pi * tip / 5 for tip in range(5)]
    sides = torch.stack([_direction(math.sin(angle)) * x - _direction(math.cos(angle)) * y for angle in angles])
    return sides.topk(2, dim=0).values[1] - 0.34


def _moon(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(_length(x, y) - 1, 0.85 - _length(x - 0.55, y))


_DISTANCES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "diamond": _diamond,
    "cross": _cross,
    "ring": _ring,
    "star": _star,
    "moon": _moon,
}


def _length(x: Tensor, y: Tensor) -> Tensor:
    return (x * x + y * y).sqrt()


def _direction(number: float) -> float:
    return round(number * _DIRECTION_LEVELS) / _DIRECTION_LEVELS


# Random numbers per image: radius, centre (2), tilt, colour of the shape (3) and of the background (3), gradient (2),
# dark or light.
_NUMBERS = 13


def _paint(distance: Callable[[Tensor, Tensor], Tensor], numbers: Tensor, size: int) -> Tensor:
    """Images uint8 [B,3,size,size] of one shape, from uniform numbers float64 [B,13]."""
    radius, across, down, tilt = numbers[:, :4].T
    radius = 0.27 + 0.13 * radius
    # The range of centres keeps the whole shape in the image.
    room = 1 - 2 * radius
    angle = (tilt - 0.5) * math.radians(30)
    x, y = _grid(size, radius + room * across, radius + room * down)
    u, v = _turned(x, y, angle)
    scale = radius.float()[:, None, None]
    # In pixels of the oversampled grid, so that an edge is one such pixel wide.
    depth = distance(u / scale, v / scale) * scale * (size * _OVERSAMPLING)
    coverage = (0.5 - depth).clamp(0, 1).mul(_COVERAGE_LEVELS).round() / _COVERAGE_LEVELS
    coverage = torch.nn.functional.avg_pool2d(coverage[:, None], _OVERSAMPLING)
    shape, background = _colours(numbers, size)
    return (background + coverage * (shape - background)).mul(255).round().to(torch.uint8)


def _grid(size: int, across: Tensor, down: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates of the samples relative to a centre [B], in units of the image size: x [B,1,S], y [B,S,1]."""
    samples = size * _OVERSAMPLING
    places = (torch.arange(samples) + 0.5) / samples
    return places - across.float()[:, None, None], places[:, None] - down.float()[:, None, None]


def _turned(x: Tensor, y: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    cosine, sine = (
        ((part(angle) * _DIRECTION_LEVELS).round() / _DIRECTION_LEVELS).float()[:, None, None]
        for part in (torch.cos, torch.sin)
    )
    return cosine * x + sine * y, cosine * y - sine * x


def _colours(numbers: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Colours in [0, 1]: shape [B,3,1,1] and background [B,3,size,size], one light and the other dark."""
    hue, saturation, value = numbers[:, 4:7].T
    back_hue, back_saturation, back_value = numbers[:, 7:10].T
    light = numbers[:, 12] < 0.5
    shape = _rgb(
        hue,
        torch.where(light, 0.6, 0.4) + 0.4 * saturation,
        torch.where(light, 0.45 + 0.35 * value, 0.85 + 0.15 * value),
    )
    background = _rgb(
        back_hue,
        torch.where(light, 0.15, 0.5) * back_saturation,
        torch.where(light, 0.92, 0.08) + 0.16 * (back_value - 0.5),
    )
    places = ((torch.arange(size) + 0.5) / size - 0.5).double()
    slopes = (numbers[:, 10:12, None] - 0.5) * 0.2 * places
    gradient = slopes[:, 0, None, :] + slopes[:, 1, :, None]
    return shape.float()[:, :, None, None], (background[:, :, None, None] + gradient[:, None]).clamp(0, 1).float()


def _rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Colours [B,3] from hue, saturation and value [B], all in [0, 1]."""
    offsets = torch.tensor([0.0, 2 / 3, 1 / 3], dtype=hue.dtype)
    # Each primary is 1 for a third of the colour circle, 0 for a third, and linear in between.
    ramp = (((hue[:, None] + offsets) % 1 * 6 - 3).abs() - 1).clamp(0, 1)
    return value[:, None] * (1 - saturation[:, None] * (1 - ramp))


@hookimpl
def mgbench_datasets() -> Mapping[str, type[Dataset]]:
    return {"digits": Digits, "shapes": Shapes}
