"""Samplers that need only the mask."""

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
    """Reveal tokens in a random order for each image, with the counts of the schedule (MAR, arXiv:2406.11838)."""

    requires: ClassVar[Requires] = "mask"

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        return planned(schedule, space.length, times)

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        return in_random_order(view, step, rng)


@dataclass(frozen=True)
class Planned:
    """Reveal tokens in a random order so that round(N·γ(s)) stay masked, the expected counts of `ancestral`
    (arXiv:2406.07524).

    `random_order` rounds down and reveals at least one token per step, which departs from nearly flat schedules; here
    steps that reveal nothing are left out.
    """

    requires: ClassVar[Requires] = "mask"

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        counts = (schedule(times[1:-1]) * space.length + 0.5 + SLACK).floor().long().tolist()
        return counted(space.length, times, [space.length, *counts, 0])

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        return in_random_order(view, step, rng)


@dataclass(frozen=True)
class Ancestral:
    """The reverse process of masked diffusion: reveal every masked token with probability 1 − γ(s)/γ(t), independently.

    Sources: MDLM (arXiv:2406.07524) and MD4 (arXiv:2406.04329). Each image has its own counts; a step that reveals
    nothing in an image needs no evaluation for it.
    """

    requires: ClassVar[Requires] = "mask"

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        return expected(schedule, times)

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        return jump(view, step, rng, share_revealed(step))


@dataclass(frozen=True)
class FirstHitting:
    """The first-hitting sampler: one token at each time at which continuous-time `ancestral` reveals one (Zheng et al.,
    arXiv:2409.02908).

    With n tokens masked at t, the next is revealed at the time t′ with γ(t′) = γ(t)·u^(1/n), u uniform. The times are
    drawn once per run, so that guidance can use them; only the number of steps of the time grid is used. With fewer
    steps than tokens, groups of nearly equal size are revealed together, each at the time of its last token.
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
            # For a constant part of the schedule, or γ(0) > 0, several times coincide; steps need different times.
            s = min(max(hits[upto - 1], EARLIEST), math.nextafter(t, 0))
            yield Step(index, total, t, s, 1 - revealed / tokens, 1 - upto / tokens, upto - revealed)
            t, revealed = s, upto

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        return in_random_order(view, step, rng)


@hookimpl
def mgbench_samplers() -> dict[str, type]:
    return {"random_order": RandomOrder, "planned": Planned, "ancestral": Ancestral, "first_hitting": FirstHitting}
