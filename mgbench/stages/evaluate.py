"""Evaluate images: every metric on their features."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from mgbench.errors import Partly, Unfit
from mgbench.interfaces import optional
from mgbench.interfaces.components import Metric
from mgbench.interfaces.scores import ScoreInfo, declaration
from mgbench.stages.extract import exact_arithmetic
from mgbench.stages.extracted import Extracted

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
    merging, comparing = optional.mergeable(metric), optional.comparing(metric)
    with exact_arithmetic():
        if merging is not None:
            real = reference.state(merging) if optional.needs_reference(metric) else {}
            return merging.compute(generated.state(merging), real)
        if comparing is not None:
            return comparing.compare(generated.features, reference.features, reference.state(comparing))
        return metric(generated.features, reference.features)


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
