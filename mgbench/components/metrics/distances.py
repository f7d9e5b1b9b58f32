"""FID and KID: a Fréchet and a kernel distance between generated and real images.

Numbers are comparable only between rows with the same extractor (its id), reference and number of images. Other Fréchet
distances are in `frechet_variants`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mgbench.components.metrics import states
from mgbench.components.metrics.frechet import comparable, finite
from mgbench.components.metrics.states import State
from mgbench.errors import Unfit
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Metric
from mgbench.interfaces.data import Features, Statistics
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.scores import ScoreInfo
from mgbench.recipes.spec import Count, Index

# Rows of the kernel matrix per block.
_BLOCK = 2048
_ONE_BY_ONE = "{} compares images one by one, and the {} is a mean and a covariance; give its images"


class Frechet(ABC):
    """The Fréchet distance between two sets as a metric with mergeable states; a subclass selects the features.

    `name` is that of the score, `stored_as` the names of mean and covariance in files of ADM and pytorch-fid.
    """

    name: ClassVar[str]
    stored_as: ClassVar[tuple[str, str]]

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """The distance of features [M,F] and [L,F].

        Raises:
            Unfit: with fewer than 2 images in a set, or without the features that the metric compares.
            UserError: with features that are not finite, or of different extractors.
        """
        return self.compute(self.update(None, generated), self.update(None, reference))

    def check_counts(self, generated: int, reference: int) -> None:
        """Raises `Unfit` with fewer than 2 images in a set."""
        need(self.name, 2, generated, reference)

    @abstractmethod
    def selected(self, seen: Features) -> Tensor | Statistics:
        """The features [B,F] that the metric compares, or the statistics that replace them."""

    def update(self, state: State | None, seen: Features) -> State:
        """Add the features of one more batch, or the statistics that replace them.

        Raises:
            Unfit: without the features that the metric compares.
            UserError: with features that are not finite.
        """
        selected = self.selected(seen)
        if isinstance(selected, Statistics):
            return states.of_statistics(selected)
        new = states.of_features(selected)
        return new if state is None else self.merge(state, new)

    def merge(self, one: State, other: State) -> State:
        """The state of the union of both sets."""
        return states.merge(one, other)

    def finish(self, state: State) -> State:
        """The mean and a root of the covariance of a complete set."""
        return states.finish(state)

    def statistics(self, state: State) -> State:
        """Mean and covariance with the names in `stored_as`."""
        return dict(zip(self.stored_as, states.mean_and_covariance(state), strict=True))

    def compute(self, generated: State, reference: State) -> dict[str, float]:
        """The distance of two states; raises as the metric itself."""
        return {self.name: states.gaussian(generated).distance(states.gaussian(reference))}


@dataclass(frozen=True)
class Fid(Frechet):
    """The Fréchet distance between features (FID, Heusel et al., arXiv:1706.08500); lower is better.

    It is biased upward with few images, and differently for different models (Chong and Forsyth, arXiv:1911.07023), so
    compare only equal numbers of images; a warning is given for few images.
    """

    scores: ClassVar[Mapping[str, ScoreInfo]] = {"fid": ScoreInfo("FID", "lower")}
    name: ClassVar[str] = "fid"
    stored_as: ClassVar[tuple[str, str]] = ("mu", "sigma")

    def selected(self, seen: Features) -> Tensor | Statistics:
        """The pooled features [B,F], or their statistics."""
        return seen.features if seen.statistics is None else seen.statistics


def need(metric: str, least: int, generated: int, reference: int, advice: str = "give more images") -> None:
    """Check that sets are large enough; a reference of 0 images has only statistics.

    Raises:
        Unfit: if a set is too small, with the required and the actual number.
    """
    fewest = min(generated, reference or generated)
    if fewest < least:
        raise Unfit(f"{metric} needs at least {least} images in each set, and one has {fewest}; {advice}")


def need_each(metric: str, generated: int, reference: int) -> None:
    """Check that a metric can compare single images of two sets.

    Raises:
        Unfit: if only statistics of a side are known (0 images), or with fewer than 2 images in a set.
    """
    for side, count in (("reference", reference), ("other side", generated)):
        if not count:
            raise Unfit(_ONE_BY_ONE.format(metric, side))
    need(metric, 2, generated, reference)


def both(metric: str, generated: Features, reference: Features) -> tuple[Tensor, Tensor]:
    """The features of both sets, float64 [M,F] and [L,F], for metrics that compare single images.

    Raises:
        Unfit: if only statistics of the reference are known, or with fewer than 2 images in a set.
        UserError: with features that are not finite, or of different extractors.
    """
    for side, features in (("reference", reference), ("other side", generated)):
        if features.statistics is not None and not len(features.features):
            raise Unfit(_ONE_BY_ONE.format(metric, side))
    return comparable(generated.features, reference.features)


@dataclass(frozen=True)
class Kid:
    """The squared maximum mean discrepancy with kernel (x·y/F + 1)³ (KID, Bińkowski et al., arXiv:1801.01401); lower is
    better.

    It is unbiased: two sets of one distribution scatter about zero (somewhat below, if their classes are balanced). By
    default over all images; with `subsets`, the mean over random subsets of `subset_size` images of each set, as in
    torch-fidelity.
    """

    scores: ClassVar[Mapping[str, ScoreInfo]] = {"kid": ScoreInfo("KID", "lower")}

    subsets: Index = 0
    subset_size: Count = 1000
    seed: Index = 0

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """`kid` of features [M,F] and [L,F].

        Raises:
            Unfit: with fewer than 2 images (or than `subset_size`) in a set, or only statistics of the reference.
            UserError: with features that are not finite, or of different extractors.
        """
        return self.compare(generated, reference, self.of_reference(reference))

    def of_reference(self, reference: Features) -> State:
        """`within`, float64 [1] or [subsets]: the mean kernel of two different real images; raises as the metric itself."""
        real = finite(reference.features)
        self.check_counts(len(real), len(real))
        means = [_mean_of_pairs(part) for _, part in self._pairs(real, real)]
        return {"within": torch.tensor(means, dtype=torch.float64)}

    def compare(self, generated: Features, reference: Features, known: State) -> dict[str, float]:
        """`kid` of features [M,F] and [L,F], given `of_reference` of the latter; raises as the metric itself."""
        first, second = both("kid", generated, reference)
        self.check_counts(len(first), len(second))
        pairs, within = self._pairs(first, second), known["within"].tolist()
        distances = [_distance(one, two, mean) for (one, two), mean in zip(pairs, within, strict=True)]
        return {"kid": sum(distances) / len(distances)}

    def check_counts(self, generated: int, reference: int) -> None:
        """Raises `Unfit` with fewer than 2 images in a set, or than a subset has."""
        need_each("kid", generated, reference)
        least = min(generated, reference)
        if self.subsets and not 2 <= self.subset_size <= least:
            raise Unfit(
                f"kid: subset_size is {self.subset_size}, and should be from 2 to {least}, "
                "the images of the smaller set"
            )

    def _pairs(self, first: Tensor, second: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """The subsets of both sets, or both sets themselves; those of one set depend on its size alone."""
        if not self.subsets:
            yield first, second
        streams, size = Streams.root(self.seed, "kid"), self.subset_size
        for subset in range(self.subsets):
            yield _some(first, streams.fold(2 * subset), size), _some(second, streams.fold(2 * subset + 1), size)


def _some(features: Tensor, rng: Streams, count: int) -> Tensor:
    return features[rng.uniform(len(features)).argsort()[:count]]


def kernel_distance(first: Tensor, second: Tensor) -> float:
    """The unbiased squared maximum mean discrepancy of features float64 [M,F] and [L,F], with kernel (x·y/F + 1)³."""
    return _distance(first, second, _mean_of_pairs(second))


def _distance(first: Tensor, second: Tensor, within_second: float) -> float:
    between = _kernel_sum(first, second) / (len(first) * len(second))
    return _mean_of_pairs(first) + within_second - 2 * between


def _mean_of_pairs(features: Tensor) -> float:
    count, dim = features.shape
    with_itself = float(_kernel(features.square().sum(1), dim).sum())
    return (_kernel_sum(features, features) - with_itself) / (count * (count - 1))


def _kernel_sum(first: Tensor, second: Tensor) -> float:
    # In blocks, because a kernel matrix of 50,000 images would fill 20 GB.
    blocks = torch.split(first, _BLOCK)
    return sum((float(_kernel(rows @ second.T, first.shape[1]).sum()) for rows in blocks), 0.0)


def _kernel(products: Tensor, dim: int) -> Tensor:
    """The kernel, in place of products float64 that nobody else reads."""
    return products.div_(dim).add_(1).pow_(3)


@hookimpl
def mgbench_metrics() -> Mapping[str, type[Metric]]:
    return {"fid": Fid, "kid": Kid}
