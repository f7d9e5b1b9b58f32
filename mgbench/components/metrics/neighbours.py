"""Quality and variety apart: which images of one set lie among those of the other, by the distances to near neighbours."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mgbench.components.metrics.distances import both
from mgbench.errors import UserError
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Metric
from mgbench.interfaces.data import Features
from mgbench.recipes.spec import Count

# Distances that are held at a time, 64 MiB of them: those between 50,000 and 10,000 images would fill 4 GB.
_HELD = 2**23
# Squared distances below this share of the squared lengths are rounding, and stand for 0.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Prdc:
    """Precision and recall (Kynkäänniemi et al., arXiv:1904.06991), density and coverage (Naeem et al., arXiv:2002.09797).

    Each image owns a ball that reaches to its `k`-th neighbour in its own set (`density_k`-th for density and coverage).
    Precision: the share of generated images inside a ball of a real one. Recall: the share of real images inside a ball
    of a generated one. Density: the number of real balls that a generated image lies in, over `density_k`; about 1 for
    sets of one distribution, and it may exceed 1. Coverage: the share of real balls with a generated image inside. The
    defaults are those of the papers. All depend on the number of images on both sides.
    """

    k: Count = 3
    density_k: Count = 5

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """`precision`, `recall`, `density` and `coverage` of features [M,F] and [L,F].

        Raises:
            Unfit: if there are but statistics of the reference.
            UserError: with no more images in a set than neighbours are counted, or features that are not finite.
        """
        fake, true = both("prdc", generated, reference)
        most, fewest = max(self.k, self.density_k), min(len(fake), len(true))
        if fewest <= most:
            raise UserError(
                f"prdc: {fewest} images have no {most}th neighbour; give more images, or lower k and density_k"
            )
        true_reach, fake_reach = _reaches(true, most), _reaches(fake, self.k)
        near, wide = true_reach[:, self.k - 1], true_reach[:, self.density_k - 1]
        precise = balls = 0.0
        recalled, covered = torch.zeros(2, len(true), dtype=torch.bool)
        for rows, distances in distance_blocks(fake, true):
            # On the edge counts as inside for precision and recall, and not for the others, as their authors have it.
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


def _reaches(features: Tensor, most: int) -> Tensor:
    """The distances [M,most] of every image to its nearest neighbours, itself left out."""
    nearest = [
        distances.topk(most + 1, largest=False).values[:, 1:] for _, distances in distance_blocks(features, features)
    ]
    return torch.cat(nearest)


def distance_blocks(first: Tensor, second: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Blocks of rows int64 [B] of the first set, and their distances [B,L] to the second; in blocks, to bound the memory."""
    # About the middle of one set, lest a mean far from 0 costs digits.
    middle = second.mean(0)
    one, two = first - middle, second - middle
    lengths, others = one.square().sum(1), two.square().sum(1)
    for rows in torch.split(torch.arange(len(first)), max(1, _HELD // len(second))):
        together = lengths[rows, None] + others
        squared = together - 2 * one[rows] @ two.T
        yield rows, squared.masked_fill_(squared < _ROUNDING * together, 0).sqrt_()


@hookimpl
def mgbench_metrics() -> Mapping[str, type[Metric]]:
    return {"prdc": Prdc}
