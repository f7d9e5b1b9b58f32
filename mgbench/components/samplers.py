"""Which tokens are revealed next? The samplers that belong to no single paper."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from mgbench.components.selection import lowest, planned
from mgbench.hookspecs import hookimpl
from mgbench.kinds import MaskSchedule, Step
from mgbench.streams import Streams


@dataclass(frozen=True)
class RandomOrder:
    """A random order for each image, revealed by the schedule's counts (MAR, arXiv:2406.11838)."""

    needs_confidence: ClassVar[bool] = False

    def plan(self, schedule: MaskSchedule, tokens: int, steps: int, shared: Streams) -> Iterable[Step]:
        return planned(schedule, tokens, steps)

    def choose(self, mask: Tensor, confidence: Tensor | None, step: Step, draws: Streams) -> Tensor:
        order = draws.uniform(mask.shape[1])
        return mask & ~lowest(order, mask, step.reveal or 0)


@hookimpl
def mgbench_samplers() -> dict[str, type]:
    return {"random_order": RandomOrder}
