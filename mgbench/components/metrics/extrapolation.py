"""Extrapolation of a distance to infinitely many images, by a linear fit over 1/N (Chong and Forsyth,
arXiv:1911.07023).
"""

from collections.abc import Callable, Iterator
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor

from mgbench.errors import Unfit
from mgbench.interfaces.randomness import Streams

Points = Annotated[int, Ge(2)]
Part = Annotated[float, Gt(0), Lt(1)]


def at_infinity(
    metric: str, features: Tensor, distance: Callable[[Tensor], float], points: int, smallest: float, seed: int
) -> float:
    """Extrapolate a distance of features float64 [M,F] to infinitely many images.

    At each of `points` sizes from `smallest`·M to M, the shuffled images are cut into as many sets as possible, whose
    distances are

    averaged.

    Raises:
        Unfit: with too few images for `points` different sizes of at least 2.
    """
    means, sizes = [], sizes_of(metric, len(features), points, smallest)
    for size in sizes:
        values = [distance(part) for part in _sets(metric, features, size, seed)]
        means.append(sum(values) / len(values))
    inverse = torch.tensor(sizes, dtype=torch.float64).reciprocal()
    line = torch.stack([torch.ones_like(inverse), inverse], 1)
    return float(torch.linalg.lstsq(line, torch.tensor(means, dtype=torch.float64)[:, None]).solution[0, 0])


def sizes_of(metric: str, count: int, points: int, smallest: float) -> list[int]:
    """The sizes of the sets; raises as `at_infinity`."""
    sizes: list[int] = torch.linspace(smallest * count, count, points).round().long().tolist()
    if sizes[0] < 2 or len(set(sizes)) < points:
        raise Unfit(f"{metric}: {count} images do not make {points} sets of different sizes")
    return sizes


def _sets(metric: str, features: Tensor, size: int, seed: int) -> Iterator[Tensor]:
    rng = Streams.root(seed, metric).fold(size).fold(torch.arange(len(features)))
    order = rng.uniform(1)[:, 0].argsort()
    return (features[rows] for rows in torch.split(order, size) if len(rows) == size)
