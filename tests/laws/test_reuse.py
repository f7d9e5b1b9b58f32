from typing import Any

import pytest
import torch
from torch import Tensor

from mgbench import testing
from mgbench.components.processes.masked import Masked
from mgbench.components.processes.prediction_cache import PredictionCache
from mgbench.components.samplers.position_first import Ancestral, RandomOrder
from mgbench.components.samplers.reuse import Features, Guidance, Nothing
from mgbench.components.schedules.guidance_schedules import Constant, Unguided
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Request, State
from mgbench.stages.cost import Meter
from mgbench.testing.toys import Joint, toy_parts
from tests.laws.exact import JOINT, states
from tests.laws.registered import built, every

REMASKING = "remdm_cap"


class Broken:
    def __init__(self, law: str) -> None:
        self.law = law

    def __call__(self, step: Any) -> Any:
        match self.law:
            case '"labelled" or "nothing"':
                return "everything"
            case "in the first step":
                return "nothing"
        return "all" if step.index == 0 or torch.rand(()) < 0.5 else "nothing"


@every("reuse")
def test_every_reuse_keeps_the_laws(name: str) -> None:
    testing.reuse(built("reuse", name))


@pytest.mark.parametrize("law", ['"labelled" or "nothing"', "in the first step", "the same step"])
def test_a_broken_reuse_breaks_its_law(law: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(AssertionError, match=law):
        testing.reuse(Broken(law))


@pytest.mark.parametrize("sampler", ["random_order", "ancestral", "maskgit", "margin", "p2", REMASKING])
@pytest.mark.parametrize("guidance", [Unguided(), Constant(2.0)])
@every("reuse")
def test_the_masked_process_keeps_the_laws_with_every_reuse(name: str, guidance: Any, sampler: str) -> None:
    parts = {"reuse": built("reuse", name), "guidance_schedule": guidance, "sampler": built("sampler", sampler)}
    testing.process(Masked(), toy_parts(JOINT, **parts))


@pytest.mark.parametrize("reuse", [Guidance(every=1), Features(every=1), Features(every=9, start=99)])
def test_that_is_asked_in_every_step_it_is_none_bit_for_bit(reuse: Any) -> None:
    def images(reuse: Any) -> Tensor:
        guided = {"guidance_schedule": Constant(2.0), "reuse": reuse}
        return states(RandomOrder(), 3, count=200, **guided)[-1].tokens

    assert torch.equal(images(reuse), images(Nothing()))


def test_tokens_that_keep_their_z_are_drawn_as_if_they_were_revealed_together() -> None:
    """One token a step, all from what was said before the first: the product of the margins, not the joint law."""
    tokens = states(RandomOrder(), 3, reuse=Features(every=3))[-1].tokens
    assert JOINT.excess(tokens, JOINT.product(0)) < 4
    assert JOINT.excess(tokens, 0) > 50


def test_a_token_that_was_masked_again_is_asked_anew() -> None:
    """What was said of it while it was visible would give it away."""
    sampler, mask = built("sampler", REMASKING), torch.tensor([[True, True, False]])
    cache = PredictionCache(mask)
    network, labels = Masked().build(toy_parts(JOINT, sampler=sampler), JOINT.space, 2).network, torch.zeros(1).long()
    tokens = torch.tensor([[0, 0, 2]])
    cache.predict(network, State(tokens, mask), labels, mask, 1.0, "all")
    hidden = torch.tensor([[True, True, True]])
    last = hidden & ~mask
    found, _ = cache.predict(network, State(tokens, hidden), labels, last, 1.0, "nothing")
    torch.testing.assert_close(found, network(tokens, hidden, labels)[last])
    # Now all of the image was asked anew, and is cache.
    still, _ = cache.predict(network, State(tokens, hidden), labels, mask, 1.0, "nothing")
    torch.testing.assert_close(still, network(tokens, hidden, labels)[mask])


def passes(reuse: Any, guidance: Any, steps: int = 6) -> float:
    """Passes of the network an image, of a model whose tokens are revealed one by one."""
    joint = Joint.example(length=6, codes=2)
    parts = toy_parts(joint, sampler=RandomOrder(), reuse=reuse, guidance_schedule=guidance)
    model, meter = Masked().build(parts, joint.space, joint.classes), Meter()
    images = Streams.root(0, "images").fold(torch.arange(4))
    with meter.watch(model), torch.no_grad():
        list(Masked().sample(model, parts, joint.space, Request(torch.zeros(4).long(), steps, images, images)))
    return meter.rows["network"] / 4


@pytest.mark.parametrize(
    ("reuse", "guidance", "expected"),
    [
        (Nothing(), Constant(2.0), 12),
        (Guidance(every=2), Constant(2.0), 9),
        (Guidance(every=3), Constant(2.0), 8),
        (Guidance(every=3), Unguided(), 6),
        (Features(every=2), Unguided(), 3),
        (Features(every=2), Constant(2.0), 6),
        (Features(every=3, start=2), Unguided(), 4),
    ],
)
def test_what_is_not_asked_is_not_paid_for(reuse: Any, guidance: Any, expected: int) -> None:
    assert passes(reuse, guidance) == expected


class Shifted(torch.nn.Module):
    """Of an image without a label, the z of label 0 and the same number more of every token: what guidance adds stands still."""

    def __init__(self) -> None:
        super().__init__()
        self.width, self.shift = 3, torch.tensor([0.5, -0.5, 0.2], dtype=torch.float64)

    def forward(self, tokens: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        z = JOINT.conditional(tokens, mask, torch.zeros_like(labels))
        return z + (labels < 0)[:, None, None] * self.shift


def test_where_what_guidance_adds_stands_still_keeping_it_changes_nothing() -> None:
    class Net:
        def build(self, *_: Any) -> Shifted:
            return Shifted()

    def images(reuse: Any) -> Tensor:
        parts = toy_parts(JOINT, network=Net(), sampler=Ancestral(), guidance_schedule=Constant(2.0), reuse=reuse)
        model = Masked().build(parts, JOINT.space, JOINT.classes)
        streams = Streams.root(0, "images").fold(torch.arange(300))
        *_, last = Masked().sample(model, parts, JOINT.space, Request(torch.zeros(300).long(), 6, streams, streams))
        return last.tokens

    assert torch.equal(images(Guidance(every=6)), images(Nothing()))
