"""Precision, recall, density and coverage: quality and diversity from nearest neighbours."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from mgbench.components.metrics.distances import both
from mgbench.components.metrics.frechet import finite
from mgbench.components.metrics.states import State
from mgbench.errors import Unfit
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Metric
from mgbench.interfaces.data import Features
from mgbench.interfaces.scores import ScoreInfo
from mgbench.recipes.spec import Count

# Distances per block, 64 MiB; those between 50,000 and 10,000 images would need 4 GB.
_HELD = 2**23
# Squared distances below this share of the squared norms are rounding errors, and count as 0.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Prdc:
    """Precision and recall (Kynkäänniemi et al., arXiv:1904.06991), density and coverage (Naeem et al.,
    arXiv:2002.09797).

    Each image has a ball that reaches to its `k`-th nearest neighbour in its own set (`density_k`-th for density and
    coverage). Precision: the share of generated images in a ball of a real image. Recall: the share of real images in a
    ball of a generated image. Density: the mean number of real balls that contain a generated image, divided by
    `density_k`; about 1 for equal distributions, and not bounded by 1. Coverage: the share of real balls that contain a
    generated image. The defaults are those of the papers. All depend on the numbers of images.

    `arithmetic` is the precision of distances: torch-fidelity uses float32, and ADM float16 where that is finite, which
    changes precision and recall in the third digit.
    """

    scores: ClassVar[Mapping[str, ScoreInfo]] = {
        "precision": ScoreInfo("Precision", "higher"),
        "recall": ScoreInfo("Recall", "higher"),
        "density": ScoreInfo("Density", "higher"),
        "coverage": ScoreInfo("Coverage", "higher"),
    }

    k: Count = 3
    density_k: Count = 5
    arithmetic: Literal["float64", "float32", "float16"] = "float64"

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """`precision`, `recall`, `density` and `coverage` of features [M,F] and [L,F].

        Raises:
            Unfit: if only statistics of the reference are known, or a set has no more images than neighbours.
            UserError: with features that are not finite.
        """
        return self.compare(generated, reference, self.of_reference(reference))

    def of_reference(self, reference: Features) -> State:
        """`reach` [L,n]: the distances of every real image to its nearest n = max(k, density_k) others; raises as the metric
        itself.
        """
        true = finite(reference.features)
        self.check_counts(len(true), len(true))
        return {"reach": _reaches(true.to(_DTYPES[self.arithmetic]), max(self.k, self.density_k))}

    def compare(self, generated: Features, reference: Features, known: State) -> dict[str, float]:
        """The numbers of features [M,F] and [L,F], given `of_reference` of the latter; raises as the metric itself."""
        fake, true = both("prdc", generated, reference)
        self.check_counts(len(fake), len(true))
        fake, true = (part.to(_DTYPES[self.arithmetic]) for part in (fake, true))
        true_reach, fake_reach = known["reach"], _reaches(fake, self.k)
        near, wide = true_reach[:, self.k - 1], true_reach[:, self.density_k - 1]
        precise = balls = 0.0
        recalled, covered = torch.zeros(2, len(true), dtype=torch.bool)
        for rows, distances in distance_blocks(fake, true):
            # The boundary counts as inside for precision and recall, and not for the others, as in the papers' code.
            precise += int((distances <= near).any(1).sum())
            balls += int((distances < wide).sum())
            recalled |= (distances <= fake_reach[rows, -1:]).any(0)
            covered |= (distances < wide).any(0)
        return {
            "precision": precise / len(fake),
            "recall": float(recalled.double().mean()),
            "density": balls / (self.density_k * len(fake)),
            "coverage": float(covered.double().mean()),
        }

    def check_counts(self, generated: int, reference: int) -> None:
        """Raises `Unfit` if a set has no more images than neighbours."""
        if not reference:
            raise Unfit(
                "prdc compares images one by one, and the reference is a mean and a covariance; give its images"
            )
        most, fewest = max(self.k, self.density_k), min(generated, reference)
        if fewest <= most:
            raise Unfit(f"prdc: {fewest} images have no {most}th neighbour; give more images, or lower k and density_k")


def _reaches(features: Tensor, most: int) -> Tensor:
    """The distances [M,most] of every image to its nearest neighbours, without itself."""
    nearest = [
        distances.topk(most + 1, largest=False).values[:, 1:] for _, distances in distance_blocks(features, features)
    ]
    return torch.cat(nearest)


def distance_blocks(first: Tensor, second: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield blocks of rows int64 [B] of the first set [M,F], and their distances [B,L] to the second [L,F].

    Distances have the precision of the features; blocks that overflow float16 are computed in float32, as in ADM.
    """
    if first.dtype == torch.float64:
        # Centred, because a mean far from 0 would cost digits; ADM and torch-fidelity do not centre.
        middle = second.mean(0)
        first, second = first - middle, second - middle
    for rows in torch.split(torch.arange(len(first)), max(1, _HELD // len(second))):
        squared = _squared(first[rows], second)
        if not bool(squared.isfinite().all()):
            squared = _squared(first[rows].float(), second.float())
        # In float32, so that float16 inputs lose no digits.
        yield rows, (squared if squared.dtype == torch.float64 else squared.float()).sqrt_()


def _squared(one: Tensor, two: Tensor) -> Tensor:
    together = one.square().sum(1)[:, None] + two.square().sum(1)
    squared = together - 2 * one @ two.T
    least = _ROUNDING * together if one.dtype == torch.float64 else torch.zeros((), dtype=one.dtype)
    return squared.masked_fill_(squared < least, 0)


_DTYPES = {"float64": torch.float64, "float32": torch.float32, "float16": torch.float16}


@hookimpl
def mgbench_metrics() -> Mapping[str, type[Metric]]:
    return {"prdc": Prdc}
