"""How hard do we push towards the label at this step? A scale w in u + w (c − u): 1 is the plain conditional model."""

from dataclasses import dataclass
from typing import Annotated

from mgbench.errors import Unfit
from mgbench.hookspecs import hookimpl
from mgbench.kinds import GuidanceSchedule, Parts, TokenSpace
from mgbench.spec import NotNegative, Part, Share
from mgbench.steps import Step


def check_labels(parts: Parts) -> None:
    """Refuse guidance where there is no label to push towards.

    Raises:
        Unfit: if the recipe has no labels.
    """
    if not parts.labels:
        raise Unfit("guidance pushes towards a label, and this recipe has labels=False")


@dataclass(frozen=True)
class Unguided:
    """Scale 1 at every step: one forward pass, no unconditional one."""

    def __call__(self, step: Step) -> float:
        return 1.0


@dataclass(frozen=True)
class Constant:
    """The same scale at every step."""

    scale: NotNegative = 2.0

    def check(self, parts: Parts, space: TokenSpace) -> None:
        check_labels(parts)

    def __call__(self, step: Step) -> float:
        return self.scale


@dataclass(frozen=True)
class Linear:
    """From 1 up to `scale` with the share of tokens revealed after the step: w = 1 + (scale − 1)·ρ, of MAR (arXiv:2406.11838)."""

    scale: NotNegative = 2.0

    def check(self, parts: Parts, space: TokenSpace) -> None:
        check_labels(parts)

    def __call__(self, step: Step) -> float:
        return 1 + (self.scale - 1) * (1 - step.share_then)


@dataclass(frozen=True)
class Interval:
    """Another schedule while the time after the step is in (low, high], and scale 1 outside (eMIGM, arXiv:2503.07197, §5.3).

    Half-open, as in eMIGM's code.
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
    return {"none": Unguided, "constant": Constant, "linear": Linear, "interval": Interval}
