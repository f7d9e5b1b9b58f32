"""A set of images as metrics see it: the features of all images, or only states of metrics."""

from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import replace
from typing import cast

from torch import Tensor

from mgbench.errors import Unfit
from mgbench.interfaces import optional
from mgbench.interfaces.components import MergeableMetric, Metric, MetricState, ReferenceMetric
from mgbench.interfaces.data import Features, Statistics

BATCH = 256
# A metric of which something can be known about a set of images.
Keeping = MergeableMetric | ReferenceMetric
# The way in which images are put through an extractor: a `Through` of `mgbench.stages.extract`.
Way = Callable[..., "Extracted"]


class Extracted:
    """A set of images for metrics: the features of all images, or only the states of mergeable metrics."""

    def __init__(self, count: int, features: Features | None, opening: Tensor) -> None:
        self.count = count
        # The features [B,F] of the first images, which are always kept.
        self.opening = opening
        self._features = features
        # A list, because metrics of plugins need not be hashable; equal metrics share a state.
        self._states: list[tuple[Keeping, MetricState | Unfit]] = []

    @classmethod
    def of(cls, features: Features) -> "Extracted":
        """Images with all their features; 0 images if there are only statistics."""
        return cls(len(features.features), features, features.features[:BATCH])

    @property
    def dim(self) -> int:
        """The number of features F of an image."""
        return self.opening.shape[1]

    @property
    def is_whole(self) -> bool:
        """Whether the features of all images are kept."""
        return self._features is not None

    @property
    def labelled(self) -> bool:
        """Whether the images have labels of the classes that the extractor knows."""
        return self._features is not None and self._features.labels is not None

    @property
    def statistics(self) -> Statistics | None:
        """The published statistics of images that are not at hand."""
        return None if self._features is None else self._features.statistics

    def gather(self, metrics: Iterable[Metric], through: Way | None = None) -> None:
        """Compute the states of these metrics together, where each would take a pass through the images of its own."""

    @property
    def features(self) -> Features:
        """The features of all images.

        Raises:
            RuntimeError: if only the states of metrics were kept.
        """
        if self._features is None:
            raise RuntimeError("the features of these images were not kept")
        return self._features

    def beside(self, held_out: "Extracted | None") -> "Extracted":
        """The same images with held-out images, for metrics that compare with both."""
        found = copy(self)
        found._features = replace(self.features, held_out=held_out.features if held_out else None)
        return found

    def keep(self, metric: Keeping, state: MetricState | Unfit) -> None:
        """Store the state of a metric for these images, or the reason why it has none."""
        self._states.append((metric, state))

    def knows(self, metric: Keeping) -> bool:
        """Whether the state of a metric is stored."""
        return any(known is metric or known == metric for known, _ in self._states)

    def state(self, metric: Keeping) -> MetricState:
        """The finished state of a metric for these images, or what it knows of them as a reference, computed once.

        Raises:
            Unfit: if the metric cannot be computed for these images.
        """
        if not self.knows(metric):
            self.keep(metric, self._computed(metric))
        found = next(found for known, found in self._states if known is metric or known == metric)
        if isinstance(found, Unfit):
            raise found
        return found

    def _computed(self, metric: Keeping) -> MetricState | Unfit:
        merging = optional.mergeable(metric)
        try:
            if merging is not None:
                return optional.finished(merging, merging.update(None, self.features))
            return cast("ReferenceMetric", metric).of_reference(replace(self.features, held_out=None))
        except Unfit as reason:
            return reason
