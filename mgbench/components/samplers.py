"""Which tokens are revealed next? The samplers that belong to no single paper."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from mgbench.components.selection import lowest, planned
from mgbench.hookspecs import hookimpl
from mgbench.kinds import MaskSchedule, TokenSpace
from mgbench.steps import Looks, Step, View
from mgbench.streams import Streams


@dataclass(frozen=True)
class RandomOrder:
    """A random order for each image, revealed by the schedule's counts (MAR, arXiv:2406.11838)."""

    looks: ClassVar[Looks] = "mask"

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        return planned(schedule, space.length, times)

    def choose(self, view: View, step: Step, draws: Streams) -> Tensor:
        order = draws.uniform(view.mask.shape[1])
        return view.mask & ~lowest(order, view.mask, step.reveal or 0)


@hookimpl
def mgbench_samplers() -> dict[str, type]:
    return {"random_order": RandomOrder}
