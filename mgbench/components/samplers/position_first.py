"""Samplers that look at nothing but the mask, of papers that have no plugin of their own."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mgbench.components.samplers.plans import (
    SLACK,
    counted,
    expected,
    in_random_order,
    inverse,
    jump,
    planned,
    share_revealed,
)
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import MaskSchedule
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Requires, SamplerInput, Step

EARLIEST = 1e-12


@dataclass(frozen=True)
class RandomOrder:
    """A random order for each image, revealed by the schedule's counts (MAR, arXiv:2406.11838)."""

    requires: ClassVar[Requires] = "mask"

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        return planned(schedule, space.length, times)

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        return in_random_order(view, step, rng)


@dataclass(frozen=True)
class Planned:
    """A random order for each image, of which round(N·γ(s)) tokens stay masked: the counts that `ancestral` has on average.

    `random_order` differs in that it rounds down and reveals at least one token a step, so that it leaves the schedule where
    that is nearly flat; here a step whose count does not change is left out.
    """

    requires: ClassVar[Requires] = "mask"

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        counts = (schedule(times[1:-1]) * space.length + 0.5 + SLACK).floor().long().tolist()
        return counted(space.length, times, [space.length, *counts, 0])

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        return in_random_order(view, step, rng)


@dataclass(frozen=True)
class Ancestral:
    """Masked diffusion's reverse process: every masked token is revealed with probability 1 − γ(s)/γ(t), independently.

    Of MDLM (arXiv:2406.07524) and MD4 (arXiv:2406.04329). Each image has its own counts; a step that reveals nothing
    of an image costs it nothing.
    """

    requires: ClassVar[Requires] = "mask"

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        return expected(schedule, times)

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        return jump(view, step, rng, share_revealed(step))


@dataclass(frozen=True)
class FirstHitting:
    """One token at each time at which `ancestral` in infinitely many steps would reveal one (Zheng et al., arXiv:2409.02908).

    With n tokens masked at t, the next is revealed at the time t′ with γ(t′) = γ(t)·u^(1/n), u uniform. The times are drawn
    once for the run, so that guidance knows them; of the time grid only the number of steps counts. With fewer steps than
    tokens, groups as equal as can be are revealed together, each at the time of its last.
    """

    requires: ClassVar[Requires] = "mask"

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        tokens, total = space.length, min(space.length, len(times) - 1)
        left = torch.arange(tokens, 0, -1, device=shared.keys.device)
        start = schedule(torch.ones((), dtype=torch.float64, device=left.device))
        hits = inverse(schedule, start * (shared.uniform(tokens) ** (1 / left)).cumprod(0)).tolist()
        t, revealed = 1.0, 0
        for index in range(total):
            upto = (index + 1) * tokens // total
            # Where the schedule stands still, or ends above 0, several times are one; steps still need time to pass.
            s = min(max(hits[upto - 1], EARLIEST), math.nextafter(t, 0))
            yield Step(index, total, t, s, 1 - revealed / tokens, 1 - upto / tokens, upto - revealed)
            t, revealed = s, upto

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        return in_random_order(view, step, rng)


@hookimpl
def mgbench_samplers() -> dict[str, type]:
    return {"random_order": RandomOrder, "planned": Planned, "ancestral": Ancestral, "first_hitting": FirstHitting}
