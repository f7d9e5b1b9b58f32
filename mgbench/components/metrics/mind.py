"""The Monge Inception Distance: the sliced Wasserstein distance between features."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mgbench.components.metrics.distances import both, need_each
from mgbench.components.metrics.extrapolation import Part, Points, at_infinity, sizes_of
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Metric
from mgbench.interfaces.data import Features
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.scores import ScoreInfo
from mgbench.recipes.spec import Count, Index

# Projections per block, 64 MiB.
_HELD = 2**23


@dataclass(frozen=True)
class Mind:
    """The Monge Inception Distance (Berthet et al., arXiv:2605.06797); lower is better.

    3·F times the squared 2-Wasserstein distance of projected features, averaged over `directions` random directions;
    unlike FID it is sensitive to all differences between distributions. For sets of equal size this is the mean squared
    difference of the sorted projections; otherwise the exact transport is used. With few images it is biased upward
    like FID: compare equal numbers, next to the floor.
    """

    scores: ClassVar[Mapping[str, ScoreInfo]] = {"mind": ScoreInfo("MIND", "lower")}

    directions: Count = 1000
    seed: Index = 0

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """`mind` of features [M,F] and [L,F].

        Raises:
            Unfit: if there are but statistics of the reference, or fewer than 2 images in a set.
            UserError: with features that are not finite, or of different extractors.
        """
        first, second = both("mind", generated, reference)
        return {"mind": sliced_distance(first, second, _directions(self.directions, first.shape[1], self.seed))}

    def check_counts(self, generated: int, reference: int) -> None:
        """Raises `Unfit` with fewer than 2 images in a set, or with statistics instead of real images."""
        need_each("mind", generated, reference)


@dataclass(frozen=True)
class MindInfinity:
    """`mind` extrapolated to infinitely many generated images, by a linear fit over 1/N like `fid_infinity`; lower is
    better.

    The bias of the reference remains (Chong and Forsyth, arXiv:1911.07023).
    """

    scores: ClassVar[Mapping[str, ScoreInfo]] = {"mind_infinity": ScoreInfo("MIND∞", "lower")}

    directions: Count = 1000
    points: Points = 10
    smallest: Part = 0.5
    seed: Index = 0

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """`mind_infinity` of features [M,F] and [L,F]; noise may make it negative.

        Raises:
            Unfit: if there are but statistics of the reference, or fewer images than make `points` sizes of two and more.
            UserError: with features that are not finite, or of different extractors.
        """
        first, second = both("mind_infinity", generated, reference)
        directions = _directions(self.directions, first.shape[1], self.seed)
        distance = partial(sliced_distance, second=second, directions=directions)
        return {"mind_infinity": at_infinity("mind_infinity", first, distance, self.points, self.smallest, self.seed)}

    def check_counts(self, generated: int, reference: int) -> None:
        """Raises `Unfit` with fewer images than make `points` sizes of two and more, or with statistics of real images."""
        need_each("mind_infinity", generated, reference)
        sizes_of("mind_infinity", generated, self.points, self.smallest)


def _directions(count: int, dim: int, seed: int) -> Tensor:
    """Random unit vectors float64 [count,F], uniform on the sphere."""
    drawn = Streams.root(seed, "mind").fold(torch.arange(count)).normal(dim)
    return normalize(drawn)


def sliced_distance(first: Tensor, second: Tensor, directions: Tensor) -> float:
    """3·F times the mean squared 2-Wasserstein distance of features float64 [M,F] and [L,F] along directions [P,F]."""
    rows, others, shares = _transport(len(first), len(second))
    total = 0.0
    for part in torch.split(directions, max(1, _HELD // max(len(first), len(second)))):
        one, two = ((features @ part.T).sort(dim=0).values for features in (first, second))
        total += float(((one[rows] - two[others]).square() * shares[:, None]).sum())
    return 3 * first.shape[1] * total / len(directions)


def _transport(count: int, others: int) -> tuple[Tensor, Tensor, Tensor]:
    """The optimal transport between two sorted samples: ranks int64 [S] in both, and the transported shares float64
    [S].
    """
    # In units of 1 / (count · others), so that boundaries are integers.
    both_sides = torch.cat([torch.arange(1, count + 1) * others, torch.arange(1, others + 1) * count])
    borders = torch.tensor(sorted(set(both_sides.tolist())))
    shares = borders.diff(prepend=borders.new_zeros(1)).double() / (count * others)
    return (borders - 1) // others, (borders - 1) // count, shares


@hookimpl
def mgbench_metrics() -> Mapping[str, type[Metric]]:
    return {"mind": Mind, "mind_infinity": MindInfinity}
