import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from mgbench import testing
from mgbench.components.masked import Masked
from mgbench.kinds import TokenSpace
from mgbench.steps import Looks, Request, Step, View
from mgbench.streams import Streams
from mgbench.toys import Evenly, Joint, Line, OneByOne, toy_parts
from tests.laws.registered import built, every, registry


class Broken:
    """The toy sampler with one mistake."""

    looks: ClassVar[Looks] = "mask"

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

    def choose(self, view: View, step: Step, draws: Streams) -> Tensor:
        mask = view.mask
        match self.law:
            case "must be bool":
                return OneByOne().choose(view, step, draws).float()
            case "choose the same":
                draws = draws.fold(torch.randint(1000, ()))
            case "depend on its batch":
                draws = Streams.root(0, "all").fold(torch.arange(len(mask)))
            case "as many tokens":
                return mask & (torch.arange(mask.shape[1]) >= (mask.shape[1] if step.index else 1))
        return OneByOne().choose(view, step, draws)


LAWS = [
    "same plan",
    "as many as were asked",
    "t = 1",
    "nothing masked",
    "earlier s",
    "the last one ended",
    "the last one left",
    "as many tokens",
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


JOINT = Joint.example()


def finished(sampler: Any, label: int, steps: int, count: int = 20_000) -> Tensor:
    parts = toy_parts(JOINT, sampler=sampler)
    model = Masked().build(parts, JOINT.space, JOINT.classes)
    images = Streams.root(5, "images").fold(torch.arange(count))
    request = Request(torch.full((count,), label), steps, images, Streams.root(5, "shared"))
    with torch.no_grad():
        *_, last = Masked().sample(model, parts, JOINT.space, request)
    return last.tokens


def one_at_a_time(name: str) -> tuple[Any, int]:
    """A sampler that chooses positions first, and a number of steps in which it reveals one token a step."""
    sampler = built("sampler", name)
    for steps in (JOINT.space.length, 10, 100, 1000):
        plan = list(sampler.plan(Line(), JOINT.space, Evenly()(steps), Streams.root(5, "shared")))
        if all(step.reveal == 1 for step in plan):
            return sampler, steps
    raise AssertionError(f"{name} never reveals one token a step")


POSITION_FIRST = [name for name, offer in registry().names("sampler").items() if offer.maker.looks == "mask"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("label", [0, 1, -1])
@pytest.mark.parametrize("name", POSITION_FIRST)
def test_one_token_a_step_draws_from_the_true_joint_law(name: str, label: int) -> None:
    sampler, steps = one_at_a_time(name)
    assert JOINT.excess(finished(sampler, label, steps), label) < 6


def test_all_tokens_in_one_step_do_not() -> None:
    # Tokens drawn together do not see each other: the law becomes the product of its margins.
    assert JOINT.excess(finished(built("sampler", "random_order"), 0, 1), 0) > 50


def test_another_class_has_another_law() -> None:
    sampler, steps = one_at_a_time("random_order")
    assert JOINT.excess(finished(sampler, 0, steps), 1) > 50


def test_always_the_likeliest_is_not_the_joint_law() -> None:
    assert JOINT.excess(finished(registry().names("sampler")["maskgit"].maker(temperature=0.0), 0, 3), 0) > 6
