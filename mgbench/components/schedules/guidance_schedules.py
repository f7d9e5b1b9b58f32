"""Guidance schedules: the scale w of u + w (c − u) at every step (classifier-free guidance, Ho and Salimans,
arXiv:2207.12598).

A scale of 1 is the plain conditional model. All schedules have the form w = 1 + (scale − 1)·f, where f depends on the
share ρ of tokens revealed after the step, or on the share of steps done. Where f is 0, no unconditional pass is needed.
For papers that write (1 + s) c − s u, see `scale_of(s)`.
"""

import math
from dataclasses import dataclass
from typing import Annotated

from mgbench.errors import Unfit
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import GuidanceSchedule, Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.sampling import Step
from mgbench.recipes.spec import NotNegative, Part, Positive, Share


def scale_of(strength: float) -> float:
    """The scale w = 1 + s in u + w (c − u), given the strength s in (1 + s) c − s u."""
    return 1 + strength


def check_labels(parts: Parts) -> None:
    """Check that a recipe with guidance has labels.

    Raises:
        Unfit: if it has none.
    """
    if not parts.labels:
        raise Unfit("guidance pushes towards a label, and this recipe has labels=False")


def advise_label_drop(parts: Parts, label_drop: float) -> tuple[str, ...]:
    """A warning if guidance uses unconditional predictions that were not trained."""
    steps = [
        Step(index, 20, 1 - index / 20, 0.95 - index / 20, 1 - index / 20, 0.95 - index / 20) for index in range(20)
    ]
    if label_drop or not parts.labels or all(parts.guidance_schedule(step) == 1 for step in steps):
        return ()
    return (
        "guidance uses predictions without a label, and with label_drop=0 the model is not trained on these; set "
        "label_drop of the process, for example 0.1, or guidance_schedule=none",
    )


@dataclass(frozen=True)
class Unguided:
    """No guidance: scale 1 at every step, without unconditional passes (arXiv:2207.12598)."""

    def __call__(self, step: Step) -> float:
        return 1.0


@dataclass(frozen=True)
class Constant:
    """A constant scale, f = 1: the original classifier-free guidance (arXiv:2207.12598)."""

    scale: NotNegative = 2.0

    def check(self, parts: Parts, space: TokenSpace) -> None:
        check_labels(parts)

    def share(self, step: Step) -> float:
        """The factor f of a step."""
        return 1.0

    def __call__(self, step: Step) -> float:
        return 1 + (self.scale - 1) * self.share(step)


@dataclass(frozen=True)
class Linear(Constant):
    """f = ρ, the share of tokens revealed after the step, as in MAR (arXiv:2406.11838)."""

    def share(self, step: Step) -> float:
        return 1 - step.share_then


@dataclass(frozen=True)
class Power(Constant):
    """f = ρ^p, with ρ the share of tokens revealed after the step; eMIGM's code has p = 2 and 3 (arXiv:2503.07197)."""

    p: Positive = 2.0

    def share(self, step: Step) -> float:
        return math.pow(1 - step.share_then, self.p)


@dataclass(frozen=True)
class Cosine(Constant):
    """f = cos(π/2 (1 − ρ)), with ρ the share of tokens revealed after the step, as in eMIGM's code (arXiv:2503.07197)."""

    def share(self, step: Step) -> float:
        return math.cos(math.pi / 2 * step.share_then)


@dataclass(frozen=True)
class PowerCosine(Constant):
    """f = (1 − cos(π r^p))/2, with r = i/T the share of steps done before this one, as in MaskBit (arXiv:2409.16211)."""

    p: Positive = 3.0

    def share(self, step: Step) -> float:
        return (1 - math.cos(math.pi * (step.index / step.total) ** self.p)) / 2


@dataclass(frozen=True)
class ByStep(Constant):
    """f = i/(T − 1) at step i of T, from 0 to 1, as in Halton-MaskGIT's confidence sampler (arXiv:2503.17076)."""

    def share(self, step: Step) -> float:
        return step.index / max(1, step.total - 1)


@dataclass(frozen=True)
class Interval:
    """Use another schedule while the time after the step is in (low, high], and scale 1 outside (eMIGM,
    arXiv:2503.07197, §5.3).

    The interval is half-open, as in eMIGM's code.
    """

    low: Share
    high: Share
    inner: Annotated[GuidanceSchedule, Part("guidance_schedule")]

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high})")

    def check(self, parts: Parts, space: TokenSpace) -> None:
        check_labels(parts)

    def __call__(self, step: Step) -> float:
        return self.inner(step) if self.low < step.s <= self.high else 1.0


@hookimpl
def mgbench_guidance_schedules() -> dict[str, type]:
    return {
        "none": Unguided,
        "constant": Constant,
        "linear": Linear,
        "power": Power,
        "cosine": Cosine,
        "power_cosine": PowerCosine,
        "by_step": ByStep,
        "interval": Interval,
    }
