import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from mgbench import testing
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Requires, SamplerInput, Step
from mgbench.testing.toys import OneByOne
from tests.laws.registered import built, every


class Broken:
    """The toy sampler with one mistake."""

    requires: ClassVar[Requires] = "mask"

    def __init__(self, law: str) -> None:
        self.law = law

    def plan(self, schedule: Any, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        plan = list(OneByOne().plan(schedule, space, times, shared))
        match self.law:
            case "same plan":
                plan[0] = dataclasses.replace(plan[0], s=plan[0].s * (1 - 1e-10 * torch.rand(()).item()))
            case "as many as were asked":
                plan = list(OneByOne().plan(schedule, space, torch.linspace(1, 0, len(times) + 1), shared))
            case "t = 1":
                plan[0] = dataclasses.replace(plan[0], t=0.99)
            case "nothing masked":
                plan = plan[:-1] or plan
            case "earlier s":
                plan = [dataclasses.replace(step, t=step.s, s=step.t) for step in plan]
                plan[0] = dataclasses.replace(plan[0], t=1.0)
            case "the last one ended":
                plan = [dataclasses.replace(step, t=1.0) for step in plan]
            case "the last one left":
                plan = [dataclasses.replace(step, share_now=1.0) for step in plan]
            case "as many tokens":
                plan = [dataclasses.replace(step, reveal=(step.reveal or 0) + 1) for step in plan]
        return plan

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        mask = view.mask
        match self.law:
            case "must be bool":
                return OneByOne().choose(view, step, rng).float()
            case "choose the same":
                rng = rng.fold(torch.randint(1000, ()))
            case "depend on its batch":
                rng = Streams.root(0, "all").fold(torch.arange(len(mask)))
            case "as many tokens":
                return mask & (torch.arange(mask.shape[1]) >= (mask.shape[1] if step.index else 1))
            case "left with the share":
                return OneByOne().choose(view, step, rng) | ~mask
        return OneByOne().choose(view, step, rng)


LAWS = [
    "same plan",
    "as many as were asked",
    "t = 1",
    "nothing masked",
    "earlier s",
    "the last one ended",
    "the last one left",
    "as many tokens",
    "left with the share",
    "must be bool",
    "choose the same",
    "depend on its batch",
]


@every("sampler")
def test_every_sampler_keeps_the_laws(name: str) -> None:
    testing.sampler(built("sampler", name))


@pytest.mark.parametrize("law", LAWS)
def test_a_broken_sampler_breaks_its_law(law: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(AssertionError, match=law):
        testing.sampler(Broken(law))


def test_the_toy_keeps_the_laws() -> None:
    testing.sampler(OneByOne())
