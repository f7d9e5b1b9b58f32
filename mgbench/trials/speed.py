"""Measure the speed of recipes: training, sampling by parts, features and metrics, on a device of this machine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from mgbench.errors import UserError, as_sentence
from mgbench.interfaces.images import in_memory, taken
from mgbench.recipes.keys import digest
from mgbench.registry.resolve import Assembly
from mgbench.results.environment import device_name, environment
from mgbench.results.speed import Speed
from mgbench.stages.speed import (
    Subject,
    machine_speed,
    sampling_speed,
    sampling_work,
    scoring_speed,
    training_speed,
    training_work,
)
from mgbench.stages.timing import Ratio, Work, in_turns, ratio_of_medians
from mgbench.trials.costs import Assumed, Facts, facts_of
from mgbench.trials.score import now

T = TypeVar("T")
# Images whose features and metrics are timed.
SCORED = 256
WORKS: Mapping[str, Callable[[Subject], Work]] = {"training step": training_work, "sampling": sampling_work}


@dataclass(frozen=True)
class Measured:
    """A recipe to measure: its components, the facts of its data, and the reasons for what cannot be measured."""

    method: str
    assembly: Assembly
    facts: Facts
    subject: Subject
    left_out: dict[str, str] = field(default_factory=dict)


def to_measure(method: str, assembly: Assembly, assumed: Assumed, device: torch.device) -> Measured:
    """Prepare the measurement of a recipe, whose data need not be available.

    Raises:
        UserError: if its components do not work together.
    """
    if assembly.unfit and not assembly.refused:
        raise UserError(f"{method} cannot be measured: {assembly.unfit}")
    facts, left_out = facts_of(assembly, assumed), dict[str, str]()
    tokenizer = _attempt(left_out, "decoding", lambda: assembly.parts.tokenizer.build(facts.shape).to(device).eval())
    teacher = assembly.teacher.parts if assembly.teacher else None
    subject = Subject(assembly.recipe, assembly.parts, facts.space, facts.classes, device, tokenizer, teacher)
    return Measured(method, assembly, facts, subject, left_out)


def measure(measured: Measured, rounds: int, origin: Mapping[str, Any]) -> Speed:
    """Measure a recipe: medians over so many rounds. What a component raises becomes a reason in `left_out`.

    Costs, by name: `train_step_seconds`, `train_images_per_second`, `seconds_per_image`, peak memory in bytes, operations
    (`train_flops_per_image`, `flops_per_image`), `matrix_rate` in operations a second of matrix products before and after,
    the shares of it that training and sampling reach, `features_seconds_per_image`, and `metrics_seconds`.
    """
    subject, left_out = measured.subject, dict(measured.left_out)
    before = machine_speed(subject)
    counted = _attempt(left_out, "operations", lambda: dict(subject.counted)) or {}
    trained = _attempt(left_out, "training", lambda: training_speed(subject, rounds)) or {}
    drawn, parts = _attempt(left_out, "sampling", lambda: sampling_speed(subject, rounds)) or ({}, {})
    scored = _attempt(left_out, "scoring", lambda: _scoring(measured, rounds)) or {}
    costs = {**counted, **trained, **drawn, **scored, "matrix_rate": (before + machine_speed(subject)) / 2}
    origin = {**environment(subject.device), **origin, "finished": now()}
    # The newest measurement of a recipe on a device replaces the one before.
    key = digest({"images": measured.assembly.keys.images, "device": device_name(subject.device)})
    return Speed(key, measured.method, measured.assembly.spelled, {**costs, **_shares(costs)}, parts, left_out, origin)


def compared(one: Measured, other: Measured, rounds: int) -> dict[str, Ratio]:
    """Ratios of the median times of two recipes that take turns, by kind of work.

    Raises:
        UserError: if no kind of work can be measured for both.
    """
    found, reasons = dict[str, Ratio](), dict[str, str]()
    for name, make in WORKS.items():
        times = _attempt(reasons, name, partial(_times, make, one.subject, other.subject, rounds))
        if times:
            found[name] = ratio_of_medians(*times)
    if not found:
        raise UserError(f"{one.method} and {other.method} cannot be compared: {'; '.join(reasons.values())}")
    return found


def _times(make: Callable[[Subject], Work], one: Subject, other: Subject, rounds: int) -> list[list[float]]:
    return in_turns([make(one), make(other)], rounds, one.device)


def _shares(costs: Mapping[str, float]) -> dict[str, float]:
    """The shares of the device's rate of matrix products that training and sampling reach."""
    sides = {
        "train_share": ("train_flops_per_image", "train_images_per_second"),
        "sampling_share": ("flops_per_image", "seconds_per_image"),
    }
    shares = {}
    for name, (flops, speed) in sides.items():
        if flops in costs and speed in costs:
            images = costs[speed] if name == "train_share" else 1 / costs[speed]
            shares[name] = costs[flops] * images / costs["matrix_rate"]
    return shares


def _scoring(measured: Measured, rounds: int) -> dict[str, float]:
    extractor: Any = measured.assembly.parts.extractor
    device = measured.subject.device
    module = extractor.build().to(device)
    images, others = _images(measured)
    return scoring_speed(module, measured.assembly.parts.metrics, images, others, device, rounds)


def _images(measured: Measured) -> tuple[Tensor, Tensor]:
    """Two sets of images uint8 [B,C,H,W']: of the training images, or of noise where these are not at hand."""
    count, data = min(measured.facts.samples, SCORED), measured.assembly.images
    if data is not None and len(data.train) >= 2 * count:
        both = in_memory(taken(data.train, torch.arange(2 * count)))
    else:
        both = torch.randint(256, (2 * count, *measured.facts.shape), dtype=torch.uint8)
    return both[:count], both[count:]


def _attempt(left_out: dict[str, str], what: str, work: Callable[[], T]) -> T | None:
    """The result of some work; None, and the reason in `left_out`, if a component raises."""
    try:
        return work()
    except Exception as error:  # whatever a component raises
        left_out[what] = as_sentence(error)
        return None
