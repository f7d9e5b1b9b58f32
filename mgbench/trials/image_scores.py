"""Scores of images against a reference, with floors, warnings and the protocol."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from mgbench.interfaces.components import Metric
from mgbench.interfaces.progress import UNREPORTED, Advance
from mgbench.stages.evaluate import Extracted, MetricScores, compute_scores, extract_for_metrics
from mgbench.trials.foreseen import on_numbers
from mgbench.trials.real_features import Reference


@dataclass(frozen=True)
class ImageScores:
    """Scores of images, floors (scores of as many held-out images), warnings, protocol, and declarations of the scores."""

    scores: dict[str, float]
    floors: dict[str, float]
    warnings: list[str]
    protocol: str
    declared: dict[str, dict[str, str]]


def score_images(
    metrics: Iterable[Metric],
    reference: Reference,
    images: Tensor,
    labels: Tensor | None,
    device: torch.device,
    drawn: str = "balanced",
) -> ImageScores:
    """Score images uint8 [M,C,H,W'] with the requested labels int64 [M]; `drawn` names the distribution of the labels."""
    return extract_and_score(metrics, reference, images, labels, device, drawn)[1]


def extract_and_score(
    metrics: Iterable[Metric],
    reference: Reference,
    images: Tensor,
    labels: Tensor | None,
    device: torch.device,
    drawn: str,
    advance: Advance = UNREPORTED,
    scored: Advance = UNREPORTED,
) -> tuple[Extracted, ImageScores]:
    """Features or metric states, and scores, of images uint8 [M,C,H,W'] with labels int64 [M]; arguments as
    `score_images`.

    `advance` is called after every batch of images, `scored` after every metric.
    """
    metrics = tuple(metrics)
    # Labels count only where the extractor was trained on the classes of the reference.
    known = labels if reference.knows_labels else None
    generated = extract_for_metrics(reference.extractor, images, known, device, metrics, advance=advance)
    size = "x".join(map(str, images.shape[2:]))
    return generated, score_against(
        metrics, reference, generated, f"n{len(images)}/{drawn}/uint8/{size}", scored=scored
    )


def score_against(
    metrics: tuple[Metric, ...],
    reference: Reference,
    generated: Extracted,
    what: str,
    count: int = 0,
    scored: Advance = UNREPORTED,
) -> ImageScores:
    """Score extracted images; `what` is the part of the protocol about them, `count` their number (0: that of
    `generated`).

    `scored` is called after every metric.
    """
    reference.real.gather(metrics)
    real, number = reference.real.beside(reference.held_out), count or generated.count
    found, floors = list[MetricScores](), dict[str, float]()
    for done, metric in enumerate(metrics, 1):
        found.append(compute_scores((metric,), generated, real, reference.suffix))
        # A metric that compares with the held-out images has no floor: it would compare them with themselves.
        floors |= reference.floors((metric,), number).scores if found[-1].scores else {}
        scored(done, len(metrics))
    scores = {name: value for said in found for name, value in said.scores.items()}
    warnings = [*_warnings(number, reference), *(reason for said in found for reason in said.left_out)]
    declared = {name: info for said in found for name, info in said.declared.items()}
    return ImageScores(scores, floors, warnings, f"{reference.name}/{what}/{reference.extractor.id}", declared)


def _warnings(count: int, reference: Reference) -> list[str]:
    dim, statistics = reference.real.dim, reference.real.statistics
    real = reference.real.count if statistics is None else statistics.count
    return list(on_numbers(count, dim, real, reference.held_out.count if reference.held_out else count))
