from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from mgbench.components.processes.masked import Masked
from mgbench.components.schedules.guidance_schedules import Constant, Interval, Linear, Unguided
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import UNLABELLED
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Request, SamplerInput, State
from mgbench.stages.cost import Meter
from mgbench.testing.toys import Evenly, Joint, Line, OneByOne, toy_parts
from tests.laws.registered import built, registry

JOINT = Joint.example(length=5, codes=2)
IMAGES = 6
GUIDANCES = {
    "none": Unguided(),
    "constant": Constant(2.0),
    "constant of 1": Constant(1.0),
    "linear": Linear(3.0),
    "interval": Interval(0.1, 0.5, Constant(2.0)),
}


def run(parts: Parts, steps: int, labels: Tensor | None = None) -> tuple[list[State], Meter]:
    process, meter = Masked(), Meter()
    model = process.build(parts, JOINT.space, JOINT.classes)
    labels = torch.arange(IMAGES) % 2 if labels is None else labels
    images = Streams.root(0, "images").fold(torch.arange(len(labels)))
    request = Request(labels, steps, images, Streams.root(0, "shared"))
    with torch.no_grad(), meter.watch(model):
        return list(process.sample(model, parts, JOINT.space, request)), meter


@pytest.mark.parametrize("steps", [1, 3, 5, 12])
@pytest.mark.parametrize("guidance", GUIDANCES)
@pytest.mark.parametrize("sampler", sorted(registry().names("sampler")))
def test_what_is_counted_is_what_the_plan_costs(sampler: str, guidance: str, steps: int) -> None:
    chosen, push = built("sampler", sampler), GUIDANCES[guidance]
    states, meter = run(toy_parts(JOINT, sampler=chosen, guidance_schedule=push), steps)
    plan = list(chosen.plan(Line(), JOINT.space, Evenly()(steps), Streams.root(0, "shared")))
    before = torch.ones_like(states[0].mask)
    images = tokens = 0
    for step, state in zip(plan, states, strict=True):
        everywhere = torch.ones_like(before)
        looked = {"mask": before & ~state.mask, "everything": everywhere}.get(chosen.requires, before)
        halves = 1 if push(step) == 1 else 2
        images += halves * int(looked.any(1).sum())
        tokens += halves * int(looked.sum())
        before = state.mask
    assert (meter.rows["network"], meter.rows["head"]) == (images, tokens)


def never_masks_again(states: list[State]) -> bool:
    return all(not (after.mask & ~before.mask).any() for before, after in pairwise(states))


@pytest.mark.parametrize("sampler", sorted(registry().names("sampler")))
def test_what_counts_its_tokens_masks_none_again(sampler: str) -> None:
    chosen = built("sampler", sampler)
    plan = list(chosen.plan(Line(), JOINT.space, Evenly()(5), Streams.root(0, "shared")))
    if all(step.reveal is not None for step in plan):
        assert never_masks_again(run(toy_parts(JOINT, sampler=chosen), 5)[0])


def test_some_samplers_mask_again() -> None:
    again = [
        name
        for name in registry().names("sampler")
        if not never_masks_again(run(toy_parts(JOINT, sampler=built("sampler", name)), 40)[0])
    ]
    assert {"remdm_cap", "remdm_rescale", "remdm_conf", "remdm_loop"} <= set(again)


def test_guidance_inside_an_interval_pays_there_only() -> None:
    _, meter = run(toy_parts(JOINT, guidance_schedule=Interval(0.3, 0.7, Constant(2.0))), 5)
    # Times after the steps: 0.8, 0.6, 0.4, 0.2, 0; two of them inside.
    assert meter.rows["network"] == IMAGES * (5 + 2)


def test_position_first_pays_the_head_once_a_token() -> None:
    _, meter = run(toy_parts(JOINT), 5)
    assert meter.rows["head"] == IMAGES * JOINT.space.length


def test_both_halves_of_guidance_are_one_batch() -> None:
    parts = toy_parts(JOINT, guidance_schedule=Constant(2.0))
    process, sizes, seen = Masked(), [], []
    model = process.build(parts, JOINT.space, 2)

    def note(module: Any, inputs: Any, output: Any) -> None:
        sizes.append(len(inputs[0]))
        seen.append(inputs[2].tolist())

    model.network.register_forward_hook(note)
    request = Request(
        torch.tensor([0, 1]), 2, Streams.root(0, "images").fold(torch.arange(2)), Streams.root(0, "shared")
    )
    with torch.no_grad():
        list(process.sample(model, parts, JOINT.space, request))
    assert sizes == [4, 4]
    assert seen[0] == [0, 1, UNLABELLED, UNLABELLED]


@pytest.mark.parametrize("sampler", sorted(registry().names("sampler")))
def test_a_token_that_stays_visible_stays_as_it_is_and_a_masked_one_is_blank(sampler: str) -> None:
    states, _ = run(toy_parts(JOINT, sampler=built("sampler", sampler)), 12)
    for before, after in pairwise(states):
        visible = ~before.mask & ~after.mask
        assert torch.equal(before.tokens[visible], after.tokens[visible])
        assert before.log_p is None or torch.equal(before.log_p[visible], after.log_p[visible])
    for state in states:
        assert (state.tokens[state.mask] == 0).all()
        assert state.log_p is None or (state.log_p[state.mask] == 0).all()
    assert not states[-1].mask.any()


class Forgetful(OneByOne):
    """Reveals all, masks half of it again, then reveals that."""

    def plan(self, *options: Any) -> Any:
        from mgbench.interfaces.sampling import Step

        return [Step(0, 3, 1, 0.6, 1, 0), Step(1, 3, 0.6, 0.3, 0, 0.5), Step(2, 3, 0.3, 0, 0.5, 0)]

    def choose(self, view: SamplerInput, step: Any, rng: Streams) -> Tensor:
        mask = view.mask
        return (torch.arange(mask.shape[1]) < 2).expand_as(mask) if step.index == 1 else torch.zeros_like(mask)


def test_a_sampler_may_mask_again() -> None:
    (first, second, third), meter = run(toy_parts(JOINT, sampler=Forgetful()), 3)
    assert not first.mask.any()
    assert second.mask[:, :2].all()
    assert (second.tokens[second.mask] == 0).all()
    assert not third.mask.any()
    assert torch.equal(third.tokens[:, 2:], first.tokens[:, 2:])
    assert (third.tokens[:, :2] != first.tokens[:, :2]).any()
    assert meter.rows["head"] == IMAGES * (5 + 0 + 2)


def test_labels_are_dropped_as_often_as_said() -> None:
    seen = []
    parts = toy_parts(JOINT)
    model = Masked().build(parts, JOINT.space, 2)
    model.network.register_forward_hook(lambda module, inputs, output: seen.append(inputs[2]))
    labels = torch.ones(5000, dtype=torch.int64)
    tokens = torch.zeros(5000, 5, dtype=torch.int64)
    for share in (0.0, 0.1, 1.0):
        Masked(label_drop=share).loss(model, parts, tokens, labels, torch.Generator().manual_seed(0))
        assert (seen[-1] == UNLABELLED).double().mean().item() == pytest.approx(share, abs=0.02)


def test_the_weight_of_the_time_of_an_image_weighs_its_tokens() -> None:
    class Doubled:
        def __call__(self, schedule: Any, t: Tensor, mask: Tensor) -> Tensor:
            return 2.0 * mask / mask.sum()

    parts, twice = toy_parts(JOINT), toy_parts(JOINT, loss_weighting=Doubled())
    model = Masked().build(parts, JOINT.space, 2)
    tokens, labels = torch.zeros(8, 5, dtype=torch.int64), torch.arange(8) % 2
    losses = [Masked().loss(model, each, tokens, labels, torch.Generator().manual_seed(0)) for each in (parts, twice)]
    torch.testing.assert_close(losses[1], 2 * losses[0])


def test_guidance_sharpens_towards_the_class() -> None:
    def likelihood(scale: float) -> float:
        labels = torch.zeros(4000, dtype=torch.int64)
        states, _ = run(toy_parts(JOINT, guidance_schedule=Constant(scale)), 5, labels)
        places = 2 ** torch.arange(4, -1, -1)
        outcome = (states[-1].tokens * places).sum(1)
        return float((JOINT.of(0) / JOINT.of(-1))[outcome].log().mean())

    assert likelihood(0.0) < likelihood(1.0) < likelihood(3.0)
