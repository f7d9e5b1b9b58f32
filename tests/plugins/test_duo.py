import math
from typing import Any

import pytest
import torch
from mgbench_plugins.duo import (
    UniformState,
    excess_rate,
    marginal,
    mgbench_recipes,
    noised,
    reverse,
    slope,
)
from torch import Tensor, nn

from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Request, Step
from mgbench.recipes.spec import Spec
from mgbench.registry.resolve import assemble
from mgbench.testing.toys import AsTheyAre, Joint, Line, Unpushed, toy_parts
from tests.laws.registered import built, registry

ONE, THREE = Joint.example(length=1, codes=5), Joint.example()


class Oracle(nn.Module):
    """The law of every token's true code given the other noisy tokens, and the model around it."""

    def __init__(self, joint: Joint) -> None:
        super().__init__()
        self.joint, self.codes, self.network = joint, joint.space.codes or 0, self

    def forward(self, x: Tensor, gamma: Tensor, labels: Tensor) -> Tensor:
        outcomes, length = self.joint.outcomes, x.shape[1]
        prior = torch.stack([self.joint.of(label) for label in range(-1, self.joint.classes)])[labels + 1]
        share = gamma.double().expand(len(x))[:, None, None]
        each = (1 - share) * (x[:, None] == outcomes) + share / self.codes  # of every image, outcome and token
        others = [[m for m in range(length) if m != n] for n in range(length)]
        rest = torch.stack([each[..., kept].prod(-1) for kept in others], -1)
        true = nn.functional.one_hot(outcomes, self.codes).double()
        return torch.einsum("bo,bon,onk->bnk", prior, rest, true).log()


def drawn(joint: Joint, steps: int, count: int = 4000, process: UniformState | None = None) -> Tensor:
    parts = toy_parts(joint)
    images = Streams.root(3, "images").fold(torch.arange(count))
    request = Request(torch.zeros(count).long(), steps, images, Streams.root(3, "shared"))
    *_, last = (process or UniformState()).sample(Oracle(joint), parts, joint.space, request)
    return last.tokens


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_one_token_follows_its_law_in_any_number_of_steps(steps: int) -> None:
    assert ONE.excess(drawn(ONE, steps, 20_000), 0) < 4


def test_several_tokens_follow_their_joint_law_in_many_steps_and_its_margins_in_one() -> None:
    assert THREE.excess(drawn(THREE, 1), THREE.product(0)) < 4
    many = drawn(THREE, 60)
    assert THREE.excess(many, 0) < 4
    assert THREE.excess(many, THREE.product(0)) > 6


def bound(joint: Joint, count: int, schedule: Any) -> tuple[float, float]:
    """The mean of the bound over images of the law, and its standard error."""
    generator = torch.Generator().manual_seed(0)
    tokens = joint.outcomes[torch.multinomial(joint.of(0), count, replacement=True, generator=generator)]
    parts = toy_parts(joint, mask_schedule=schedule)
    nats = UniformState().bound(Oracle(joint), parts, joint.space, tokens, torch.zeros(count).long(), generator)
    return float(nats.mean()), float(nats.std()) / math.sqrt(count)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "exp(rate=5.0)"])
@pytest.mark.parametrize("joint", [ONE, THREE])
def test_with_the_exact_law_the_bound_is_the_entropy(joint: Joint, schedule: str) -> None:
    mean, error = bound(joint, 20_000, registry().build("mask_schedule", Spec.parse(schedule)))
    entropy = -float((joint.of(0) * joint.of(0).log()).sum())
    assert error < 0.05 * entropy
    assert mean == pytest.approx(entropy, abs=4 * error)


def test_another_law_costs_more_and_no_jump_costs_less_than_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    x_0, gamma = torch.randint(5, (200, 4), generator=generator), torch.rand(200, generator=generator).double()
    x_t, law = noised(x_0, gamma, 5, generator), torch.rand(200, 4, 5, generator=generator).double().softmax(-1)
    known = nn.functional.one_hot(x_0, 5).double()
    assert (excess_rate(x_t, x_0, law, gamma.clamp(0.01, 0.99)) > 0).all()
    torch.testing.assert_close(excess_rate(x_t, x_0, known, gamma.clamp(0.01, 0.99)), torch.zeros(200, 4).double())


def test_the_reverse_of_a_step_is_that_of_bayes() -> None:
    """Of one token: p(x_s | x_t) summed over the true code, each by Bayes' rule."""
    law, codes, (gamma_t, gamma_s) = torch.tensor([0.5, 0.2, 0.3]).double(), 3, (0.7, 0.3)
    kept = (1 - gamma_t) / (1 - gamma_s)
    eye = torch.eye(codes).double()
    forward = kept * eye + (1 - kept) / codes
    at_s = marginal(law[None, None], torch.tensor([gamma_s]).double())[0, 0]
    step = Step(0, 2, 0.7, 0.3, gamma_t, gamma_s)
    for now in range(codes):
        wanted = forward[:, now] * at_s / (forward[:, now] @ at_s)
        ours = reverse(torch.tensor([[now]]), law.log()[None, None], step)[0, 0].softmax(-1)
        torch.testing.assert_close(ours, wanted)


def test_noise_puts_any_code_in_the_place_of_a_share_of_tokens() -> None:
    x_t = noised(torch.zeros(20_000, 2).long(), torch.full((20_000,), 0.6), 4, torch.Generator().manual_seed(0))
    share = torch.bincount(x_t.flatten(), minlength=4) / x_t.numel()
    torch.testing.assert_close(share, torch.tensor([0.55, 0.15, 0.15, 0.15]), atol=0.01, rtol=0)


def test_the_slope_is_that_of_the_schedule() -> None:
    gamma, rise = slope(lambda t: t**2, torch.tensor([0.5, 0.25]).double())
    assert (gamma.tolist(), rise.tolist()) == ([0.25, 0.0625], [1.0, 0.5])


def test_images_do_not_depend_on_their_batch_and_guidance_asks_twice() -> None:
    process = UniformState(width=16, depth=1, heads=2)
    model = process.build(toy_parts(THREE), THREE.space, 2)
    asked: list[int] = []
    model.network.register_forward_hook(lambda module, inputs, output: asked.append(len(inputs[0])))
    images = Streams.root(3, "images").fold(torch.arange(6))
    for scale, rows in ((Unpushed(), 6), (built("guidance_schedule", "constant"), 12)):
        parts = toy_parts(THREE, guidance_schedule=scale, code_draw=AsTheyAre(), mask_schedule=Line())
        asked.clear()
        with torch.no_grad():
            list(process.sample(model, parts, THREE.space, Request(torch.zeros(6).long(), 3, images, images)))
        assert asked == [rows] * 3


def test_its_recipe_can_be_put_together_and_vectors_are_refused() -> None:
    recipe = mgbench_recipes()["duo"]
    assert assemble(registry(), recipe).unfit == ""
    assert "replaces codes" in assemble(registry(), recipe.change(tokenizer="patch")).unfit
