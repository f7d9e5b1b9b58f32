"""What a record says of images beside their reference: scores, floors, warnings and protocol."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from mgbench.interfaces.components import Metric
from mgbench.stages.evaluate import Seen, judge, look, small_sample_warning
from mgbench.trials.real_features import Reference


@dataclass(frozen=True)
class Verdict:
    """What a record says of images: their scores, those of as many real ones, and how both were obtained, and what they are."""

    scores: dict[str, float]
    floors: dict[str, float]
    warnings: list[str]
    protocol: str
    declared: dict[str, dict[str, str]]


def verdict(
    metrics: Iterable[Metric],
    reference: Reference,
    images: Tensor,
    labels: Tensor | None,
    device: torch.device,
    drawn: str = "balanced",
) -> Verdict:
    """Judge images uint8 [M,C,H,W'] with the labels int64 [M] they should have; `drawn` says how those were chosen."""
    return seen_and_judged(metrics, reference, images, labels, device, drawn)[1]


def seen_and_judged(
    metrics: Iterable[Metric],
    reference: Reference,
    images: Tensor,
    labels: Tensor | None,
    device: torch.device,
    drawn: str,
) -> tuple[Seen, Verdict]:
    """Images uint8 [M,C,H,W'] with labels int64 [M] as the metrics see them, and the verdict; arguments as of `verdict`."""
    metrics = tuple(metrics)
    # Where the classes of the reference are not those of the extractor, nor are those of the images.
    generated = look(reference.extractor, images, labels if reference.knows_labels else None, device, metrics)
    size = "x".join(map(str, images.shape[2:]))
    return generated, judged(metrics, reference, generated, f"n{len(images)}/{drawn}/uint8/{size}")


def judged(metrics: tuple[Metric, ...], reference: Reference, generated: Seen, what: str, count: int = 0) -> Verdict:
    """The verdict on images that were seen; `what` is the part of the protocol about them, and `count` how many they are."""
    real = reference.real.beside(reference.held_out)
    found = [judge((metric,), generated, real, reference.suffix) for metric in metrics]
    number = count or generated.count
    # Held-out images are not told of themselves: what compares with them has no floor.
    floors = reference.floors([metric for metric, said in zip(metrics, found, strict=True) if said.scores], number)
    scores = {name: value for said in found for name, value in said.scores.items()}
    warnings = [*_warnings(number, reference), *(reason for said in found for reason in said.left_out)]
    declared = {name: info for said in found for name, info in said.declared.items()}
    return Verdict(scores, floors.scores, warnings, f"{reference.name}/{what}/{reference.extractor.id}", declared)


def _warnings(count: int, reference: Reference) -> list[str]:
    features = reference.real.features
    dim, statistics = features.features.shape[1], features.statistics
    held = reference.held_out.count if reference.held_out else count
    few = small_sample_warning(count, dim) if count else None
    real = reference.real.count if statistics is None else statistics.count
    scarce = small_sample_warning(real, dim) if real else None
    fewer = f"the floor is of {held} held-out images, the scores of {count}" if held < count else None
    return [warning for warning in (few, scarce and f"the reference: {scarce}", fewer) if warning]
