"""The Vendi score: diversity of images without a reference."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mgbench.components.metrics.frechet import at_least_two, finite
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Metric
from mgbench.interfaces.data import Features
from mgbench.interfaces.scores import ScoreInfo


@dataclass(frozen=True)
class Vendi:
    """The Vendi score: exp of the entropy of the eigenvalues of K/M, with K the matrix of cosine similarities of
    features (Friedman and Dieng, arXiv:2210.02410); higher is more diverse.

    From 1 for identical images up to the smaller of M and F. It does not use real images: read it next to its floor and
    next to a distance, because noise is diverse too.
    """

    scores: ClassVar[Mapping[str, ScoreInfo]] = {"vendi": ScoreInfo("Vendi score", "higher")}

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """`vendi` of features [M,F].

        Raises:
            Unfit: with fewer than 2 images.
            UserError: with features that are not finite.
        """
        features = finite(generated.features)
        at_least_two(len(features))
        return {"vendi": effective_number(normalize(features))}

    def check_counts(self, generated: int, reference: int) -> None:
        """Raises `Unfit` with fewer than 2 images."""
        at_least_two(generated)


def effective_number(features: Tensor) -> float:
    """The exponential of the entropy of the eigenvalues of X Xᵀ/M, of features float64 [M,F] of length 1."""
    count, dim = features.shape
    # X Xᵀ and XᵀX have the same nonzero eigenvalues.
    small = features.T @ features if dim < count else features @ features.T
    values = torch.linalg.eigvalsh(small / count).clamp(min=0)
    return float(torch.special.entr(values).sum().exp())


@hookimpl
def mgbench_metrics() -> Mapping[str, type[Metric]]:
    return {"vendi": Vendi}
