"""CMMD: the maximum mean discrepancy with a Gaussian kernel, usually of CLIP features."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Gt
from torch import Tensor
from torch.nn.functional import normalize

from mgbench.components.metrics.distances import both, need_each
from mgbench.components.metrics.frechet import finite
from mgbench.components.metrics.states import State
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Metric
from mgbench.interfaces.data import Features
from mgbench.interfaces.scores import ScoreInfo

# Rows of the kernel matrix per block.
_BLOCK = 2048
# Factor in the paper, for readability.
_SCALE = 1000


@dataclass(frozen=True)
class Cmmd:
    """1,000 times the squared maximum mean discrepancy of normalised features, with kernel exp(−|x − y|²/2σ²)
    (Jayasumana et al., arXiv:2401.09603); lower is better.

    As in the paper, pairs of an image with itself count, which gives a small upward bias that falls with the number of
    images. Published numbers use CLIP ViT-L/14 at 336 pixels; `unit=false` does not normalise features.
    """

    scores: ClassVar[Mapping[str, ScoreInfo]] = {"cmmd": ScoreInfo("CMMD", "lower")}

    sigma: Annotated[float, Gt(0)] = 10.0
    unit: bool = True

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """`cmmd` of features [M,F] and [L,F].

        Raises:
            Unfit: if only statistics of the reference are known, or with fewer than 2 images in a set.
            UserError: with features that are not finite, or of different extractors.
        """
        return self.compare(generated, reference, self.of_reference(reference))

    def of_reference(self, reference: Features) -> State:
        """`within`, float64 []: the mean kernel, minus 1, of two real images; raises as the metric itself."""
        real = self._scaled(finite(reference.features))
        self.check_counts(len(real), len(real))
        return {"within": torch.tensor(_mean(real, real, self.sigma), dtype=torch.float64)}

    def compare(self, generated: Features, reference: Features, known: State) -> dict[str, float]:
        """`cmmd` of features [M,F] and [L,F], given `of_reference` of the latter; raises as the metric itself."""
        first, second = map(self._scaled, both("cmmd", generated, reference))
        return {"cmmd": _SCALE * _discrepancy(first, second, self.sigma, float(known["within"]))}

    def check_counts(self, generated: int, reference: int) -> None:
        """Raises `Unfit` with fewer than 2 images in a set, or with statistics instead of real images."""
        need_each("cmmd", generated, reference)

    def _scaled(self, features: Tensor) -> Tensor:
        return normalize(features) if self.unit else features


def gaussian_discrepancy(first: Tensor, second: Tensor, sigma: float) -> float:
    """The biased squared maximum mean discrepancy (at least 0) of features float64 [M,F] and [L,F]."""
    return _discrepancy(first, second, sigma, _mean(second, second, sigma))


def _discrepancy(first: Tensor, second: Tensor, sigma: float, within_second: float) -> float:
    # The kernel minus 1, whose constant part cancels, and would cost digits if σ is large.
    within = _mean(first, first, sigma) + within_second
    return max(within - 2 * _mean(first, second, sigma), 0.0)


def _mean(first: Tensor, second: Tensor, sigma: float) -> float:
    """The mean of exp(−|x − y|²/2σ²) − 1 over all pairs."""
    lengths = second.square().sum(1)
    total = 0.0
    # In blocks, because a kernel matrix of 50,000 images would fill 20 GB.
    for rows in torch.split(first, _BLOCK):
        squared = (rows.square().sum(1, keepdim=True) + lengths - 2 * rows @ second.T).clamp_(min=0)
        total += float(torch.expm1(squared / (-2 * sigma**2)).sum())
    return total / (len(first) * len(second))


@hookimpl
def mgbench_metrics() -> Mapping[str, type[Metric]]:
    return {"cmmd": Cmmd}
