"""Scores of images against a reference, with floors, warnings and the protocol."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from mgbench.interfaces.components import Metric
from mgbench.interfaces.progress import UNREPORTED, Advance
from mgbench.stages.evaluate import MetricScores, compute_scores
from mgbench.stages.extract import HERE, Through, pass_for
from mgbench.stages.extracted import Extracted
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
    metrics = tuple(metrics)
    generated = seen_by(metrics, reference, images, labels, device)
    return score_against(metrics, reference, generated, said_of(images, drawn))


def seen_by(
    metrics: tuple[Metric, ...],
    reference: Reference,
    images: Tensor,
    labels: Tensor | None,
    device: torch.device,
    through: Through = HERE,
    advance: Advance = UNREPORTED,
) -> Extracted:
    """Features, or states of metrics if these suffice, of images uint8 [M,C,H,W'] with the requested labels int64
    [M].

    States of real images that are missing are computed as well. `advance` is called after every batch of images.
    """
    # Labels count only where the extractor was trained on the classes of the reference.
    known = labels if reference.knows_labels else None
    generated = through(pass_for(reference.extractor, device, metrics), images, known, advance=advance)
    reference.real.gather(metrics, through)
    return generated


def said_of(images: Tensor, drawn: str) -> str:
    """The part of a protocol about images uint8 [M,C,H,W'] whose labels were `drawn` so."""
    size = "x".join(map(str, images.shape[2:]))
    return f"n{len(images)}/{drawn}/uint8/{size}"


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
