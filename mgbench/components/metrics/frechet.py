"""The Fréchet distance between two sets of features, as Gaussians, in float64 and without a matrix square root.

The distance between N(μ1, Σ1) and N(μ2, Σ2) is |μ1-μ2|² + tr Σ1 + tr Σ2 - 2 tr (Σ1 Σ2)^½ (Dowson and Landau, 1982;
Heusel et al., arXiv:1706.08500). With any factors R1ᵀR1 = Σ1 and R2ᵀR2 = Σ2 the last trace is the sum of the singular
values of R1 R2ᵀ, which is always real, exact for singular covariances, and cheaper with fewer images than features. A
general matrix square root is slow, gives complex numbers if Σ1 Σ2 is nearly singular, and differs between library
versions.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mgbench.errors import Unfit, UserError
from mgbench.interfaces.data import Statistics


@dataclass(frozen=True)
class Moments:
    """Count, mean [F] and scatter [F,F] (the sum of outer products of deviations) of features, float64.

    Batches are centred on their own means before merging (Chan, Golub and LeVeque, 1979), which avoids cancellation.
    """

    count: int
    mean: Tensor
    scatter: Tensor

    @classmethod
    def empty(cls, dim: int) -> "Moments":
        """The moments of no images: mean [F] and scatter [F,F] are zero."""
        return cls(0, torch.zeros(dim, dtype=torch.float64), torch.zeros(dim, dim, dtype=torch.float64))

    @classmethod
    def of(cls, features: Tensor) -> "Moments":
        """The moments of one batch of features [B,F], any float type.

        Raises:
            UserError: if a feature is not finite.
        """
        numbers = finite(features)
        if not len(numbers):
            return cls.empty(numbers.shape[1])
        mean = numbers.mean(0)
        centred = numbers - mean
        return cls(len(numbers), mean, centred.T @ centred)

    def update(self, features: Tensor) -> "Moments":
        """The moments after one more batch of features [B,F].

        Raises:
            UserError: if a feature is not finite.
        """
        return self.merge(Moments.of(features))

    def merge(self, other: "Moments") -> "Moments":
        """The moments of the union of both sets."""
        count = self.count + other.count
        if not count:
            return self
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.count / count)
        between = torch.outer(apart, apart) * (self.count * other.count / count)
        return Moments(count, mean, self.scatter + other.scatter + between)

    @property
    def covariance(self) -> Tensor:
        """The unbiased covariance [F,F].

        Raises:
            Unfit: with fewer than 2 images.
        """
        at_least_two(self.count)
        return self.scatter / (self.count - 1)

    @property
    def root(self) -> Tensor:
        """R [F,F] such that RᵀR is the covariance; directions whose variance is only rounding become zero."""
        return _root(self.covariance)


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian: mean [F] and a root R [n,F] such that RᵀR is the covariance; n is the smaller of F and the number of
    images.
    """

    mean: Tensor
    root: Tensor

    @classmethod
    def of(cls, features: Tensor) -> "Gaussian":
        """The Gaussian of features [M,F] of any float type.

        Raises:
            Unfit: with fewer than 2 images.
            UserError: with features that are not finite.
        """
        numbers = finite(features)
        count, dim = numbers.shape
        at_least_two(count)
        if count >= dim:
            moments = Moments.of(numbers)
            return cls(moments.mean, moments.root)
        mean = numbers.mean(0)
        return cls(mean, (numbers - mean) / (count - 1) ** 0.5)

    @classmethod
    def known(cls, statistics: Statistics) -> "Gaussian":
        """The Gaussian of a mean [F] and covariance [F,F]."""
        return cls(statistics.mean.double(), _root(statistics.covariance.double()))

    def distance(self, other: "Gaussian") -> float:
        """The squared Fréchet distance, at least 0.

        Raises:
        UserError: if they are of features of different extractors.
        """
        _same_extractor(len(self.mean), len(other.mean))
        shared = torch.linalg.svdvals(self.root @ other.root.T).sum()
        apart = (self.mean - other.mean).square().sum()
        squared = apart + self.root.square().sum() + other.root.square().sum() - 2 * shared
        # Values below zero are rounding errors.
        return max(float(squared), 0.0)


def _root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = values.clamp(min=0).sqrt()[:, None] * vectors.T
    return root


def finite(features: Tensor) -> Tensor:
    """Check features [M,F], and convert them to float64 on the CPU.

    Raises:
        UserError: if they are not a matrix, or one of them is not finite.
    """
    if features.ndim != 2:
        raise UserError(f"features are a matrix, one row an image, and these have the shape {tuple(features.shape)}")
    numbers = features.detach().to("cpu", torch.float64)
    bad, count = int((~numbers.isfinite()).any(1).sum()), len(numbers)
    if bad:
        raise UserError(
            f"{bad} of {count} images have features that are not finite; look at the images and the extractor"
        )
    return numbers


def at_least_two(count: int) -> None:
    """Check that a covariance exists.

    Raises:
        Unfit: with fewer than 2 images.
    """
    if count < 2:
        raise Unfit(f"a metric needs at least 2 images, and one set has {count}")


def comparable(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Check features [M,F] and [L,F], and convert them to float64 on the CPU.

    Raises:
        Unfit: with fewer than 2 images in a set.
        UserError: with features that are not finite, or of different extractors.
    """
    one, two = finite(first), finite(second)
    at_least_two(min(len(one), len(two)))
    _same_extractor(one.shape[1], two.shape[1])
    return one, two


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """The squared Fréchet distance of features [M,F] and [L,F], at least 0.

    Raises:
        Unfit: with fewer than 2 images in a set.
        UserError: with features that are not finite, or of different extractors.
    """
    return Gaussian.of(first).distance(Gaussian.of(second))


def frechet_distance_of_moments(first: Moments, second: Moments) -> float:
    """The squared Fréchet distance of two sets given by their moments.

    Raises:
        Unfit: with fewer than 2 images in a set.
        UserError: with features of different extractors.
    """
    return Gaussian(first.mean, first.root).distance(Gaussian(second.mean, second.root))


def _same_extractor(dim: int, other: int) -> None:
    if dim != other:
        raise UserError(f"features of {dim} and of {other} numbers cannot be compared; use one extractor for both")
