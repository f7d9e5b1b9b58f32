"""Evaluate images: one pass through the extractor, then every metric on its features."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from mgbench.errors import Partly, Unfit
from mgbench.interfaces import optional
from mgbench.interfaces.components import MergeableMetric, Metric, MetricState
from mgbench.interfaces.data import ExtractorModule, Features, Statistics
from mgbench.interfaces.images import Images, batches, in_colour, in_memory
from mgbench.interfaces.progress import UNREPORTED, Advance
from mgbench.interfaces.scores import ScoreInfo, declaration

BATCH = 256


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Context with full float32 products (no TF32), so that features do not depend on the type of GPU."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def extract(
    extractor: ExtractorModule,
    images: Images,
    labels: Tensor | None,
    device: torch.device,
    batch: int = BATCH,
    advance: Advance = UNREPORTED,
) -> Features:
    """Features, logits and spatial features float64 on the CPU of images uint8 [M,C,H,W'] with labels int64 [M].

    Grey images are repeated in three channels; `advance` is called after every batch.
    """
    parts = list(_batches(extractor, images, labels, device, batch, advance))
    return _together(parts, images, labels, extractor)


@torch.no_grad()
def _batches(
    extractor: ExtractorModule,
    images: Images,
    labels: Tensor | None,
    device: torch.device,
    batch: int,
    advance: Advance,
) -> Iterator[Features]:
    every = torch.split(torch.arange(len(images)), batch)
    for done, (rows, pixels) in enumerate(zip(every, batches(images, batch), strict=True), 1):
        shown = in_memory(in_colour(pixels))
        with exact_arithmetic():
            said = extractor(shown.to(device))
        numbers = {name: _kept(getattr(said, name)) for name in _NUMBERS}
        yield Features(**numbers, labels=None if labels is None else labels[rows], images=shown, extractor=extractor)
        advance(done, len(every))


_NUMBERS = ("features", "logits", "spatial")


def _kept(numbers: Tensor | None) -> Any:
    return None if numbers is None else numbers.cpu().double()


def _together(parts: list[Features], images: Images, labels: Tensor | None, extractor: ExtractorModule) -> Features:
    joined: dict[str, Any] = {}
    for name in _NUMBERS:
        found = [numbers for numbers in (getattr(part, name) for part in parts) if numbers is not None]
        joined[name] = torch.cat(found) if found else None
    return Features(**joined, labels=labels, images=in_colour(images), extractor=extractor)


class Extracted:
    """A set of images for metrics: the features of all images, or only the states of mergeable metrics."""

    def __init__(self, count: int, features: Features | None, opening: Tensor) -> None:
        self.count = count
        # The features [B,F] of the first images, which are always kept.
        self.opening = opening
        self._features = features
        # A list, because metrics of plugins need not be hashable; equal metrics share a state.
        self._states: list[tuple[MergeableMetric, MetricState | Unfit]] = []

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

    def gather(self, metrics: Iterable[Metric]) -> None:
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

    def keep(self, metric: MergeableMetric, state: MetricState | Unfit) -> None:
        """Store the state of a metric for these images, or the reason why it has none."""
        self._states.append((metric, state))

    def knows(self, metric: MergeableMetric) -> bool:
        """Whether the state of a metric is stored."""
        return any(known is metric or known == metric for known, _ in self._states)

    def state(self, metric: MergeableMetric) -> MetricState:
        """The finished state of a metric for these images, computed once.

        Raises:
            Unfit: if the metric cannot be computed for these images.
        """
        if not self.knows(metric):
            self.keep(metric, self._computed(metric))
        found = next(found for known, found in self._states if known is metric or known == metric)
        if isinstance(found, Unfit):
            raise found
        return found

    def _computed(self, metric: MergeableMetric) -> MetricState | Unfit:
        try:
            return optional.finished(metric, metric.update(None, self.features))
        except Unfit as reason:
            return reason


def extract_for_metrics(
    extractor: ExtractorModule,
    images: Images,
    labels: Tensor | None,
    device: torch.device,
    metrics: Sequence[Metric],
    batch: int = BATCH,
    advance: Advance = UNREPORTED,
) -> Extracted:
    """Extract the features or metric states of images uint8 [M,C,H,W']; all features are kept only if a metric needs
    them.

    `advance` is called after every batch.
    """
    found = [optional.mergeable(metric) for metric in metrics]
    growing = [_Growing(metric) for metric in found if metric is not None]
    keep, kept = len(growing) < len(metrics), []
    opening: list[Tensor] = []
    for part in _batches(extractor, images, labels, device, batch, advance):
        for state in growing:
            state.update(part)
        kept += [part] * keep
        opening += [part.features] * (sum(map(len, opening)) < BATCH)
    seen = Extracted(
        len(images), _together(kept, images, labels, extractor) if keep else None, torch.cat(opening)[:BATCH]
    )
    for state in growing:
        seen.keep(state.metric, state.found)
    return seen


class _Growing:
    """The state of a metric during a pass over batches."""

    def __init__(self, metric: MergeableMetric) -> None:
        self.metric = metric
        self._state: MetricState | Unfit | None = None

    def update(self, part: Features) -> None:
        if isinstance(self._state, Unfit):
            return
        try:
            self._state = self.metric.update(self._state, part)
        except Unfit as reason:
            self._state = reason

    @property
    def found(self) -> MetricState | Unfit:
        return Unfit("there are no images") if self._state is None else self._state


# With fewer images per feature, the bias of a Fréchet distance is as large as typical differences between methods.
IMAGES_PER_FEATURE = 10


@dataclass(frozen=True)
class MetricScores:
    """Scores by name, their declarations, and the reasons for numbers that were left out."""

    scores: dict[str, float]
    left_out: tuple[str, ...] = ()
    declared: dict[str, dict[str, str]] = field(default_factory=dict)


def compute_scores(
    metrics: Iterable[Metric], generated: Extracted, reference: Extracted, extractor: str
) -> MetricScores:
    """Compute the numbers of every metric; a number that depends on the extractor is named with it, as
    `fid[digits_cnn]`.

    Metrics that do not fit, and numbers that are not finite, are left out with a reason.
    """
    scores: dict[str, float] = {}
    left_out: list[str] = []
    declared: dict[str, dict[str, str]] = {}
    for metric in metrics:
        said, reasons = _numbers(metric, generated, reference)
        wrong = [name for name, value in said.items() if not isfinite(value)]
        left_out += [*reasons, *(f"{name} is left out, as it came to {said[name]}" for name in wrong)]
        known = {name: declaration(optional.declared_scores(metric), name) for name in said}
        good = {name: _full_name(name, known[name], extractor) for name in said if name not in wrong}
        scores |= {full: float(said[name]) for name, full in good.items()}
        declared |= {full: info.plain() for name, full in good.items() if (info := known[name]) is not None}
    return MetricScores(scores, tuple(left_out), declared)


def _full_name(name: str, info: ScoreInfo | None, extractor: str) -> str:
    """The name of a score; an undeclared number is taken to depend on the extractor."""
    return f"{name}[{extractor}]" if extractor and (info is None or info.of == "features") else name


def _numbers(metric: Metric, generated: Extracted, reference: Extracted) -> tuple[dict[str, float], list[str]]:
    try:
        with suppress(Partly), exact_arithmetic():
            optional.check_counts(metric, generated.count, reference.count)
        return dict(_compared(metric, generated, reference)), []
    except Partly as reason:
        return reason.scores, [str(reason)]
    except Unfit as reason:
        return {}, [str(reason)]


def _compared(metric: Metric, generated: Extracted, reference: Extracted) -> Any:
    merging = optional.mergeable(metric)
    with exact_arithmetic():
        if merging is None:
            return metric(generated.features, reference.features)
        real = reference.state(merging) if optional.needs_reference(metric) else {}
        return merging.compute(generated.state(merging), real)


def small_sample_warning(count: int, dim: int) -> str | None:
    """The warning about a Fréchet distance of `count` images with `dim` features; None if there are enough images."""
    enough = IMAGES_PER_FEATURE * dim
    if count <= dim:
        return (
            f"{count} images for {dim} features: the covariance is singular, so the Fréchet distance mostly reflects the "
            f"number of images; use at least {enough}, or read kid instead"
        )
    if count < enough:
        return (
            f"{count} images for {dim} features: the Fréchet distance is biased upward; use at least {enough}, "
            "and compare equal numbers only"
        )
    return None
