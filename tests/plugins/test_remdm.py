import math
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
import torch
from mgbench_plugins.remdm import REMDM, Cap, Conf, Loop, Rescale, mgbench_recipes, sigma_max
from torch import Tensor

from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import SamplerInput, State, Step
from mgbench.recipes.recipe import Recipe
from mgbench.registry.resolve import assemble
from mgbench.stages.sample import Meter, Model, sample_images, sample_tokens
from tests.laws.registered import registry

SPACE = TokenSpace(8, 1, codes=4)
IMAGES = Streams.root(0, "images").fold(torch.arange(6000))
HALF = (torch.arange(8) < 4).expand(6000, -1)


def step(now: float, then: float, t: float = 0.5) -> Step:
    return Step(4, 10, t, t - 0.1, now, then)


def rates(sampler: Any, now: Step, log_p: Tensor | None = None) -> tuple[float, float]:
    """How often a masked token is revealed, and a visible one masked again."""
    then = sampler.choose(SamplerInput(SPACE, HALF, log_p), now, IMAGES)
    return float((~then)[HALF].double().mean()), float(then[~HALF].double().mean())


def test_sigma_is_bounded_by_what_keeps_to_the_schedule() -> None:
    assert sigma_max(step(0.5, 0.2)) == pytest.approx(0.4)
    assert sigma_max(step(0.9, 0.8)) == 1
    assert sigma_max(step(1.0, 0.9)) == 1
    assert sigma_max(step(0.3, 0.0)) == 0
    assert sigma_max(step(0.0, 0.0)) == 0


@pytest.mark.parametrize(
    ("sampler", "sigma"),
    [(Cap(eta=0.1), 0.1), (Cap(eta=0.9), 0.4), (Rescale(eta=0.25), 0.1), (Rescale(eta=1.0), 0.4), (Loop(eta=0.1), 0.1)],
)
def test_the_rates_are_those_of_the_posterior(sampler: Any, sigma: float) -> None:
    """With α_t = 0.5 and α_s = 0.8, where σ_max is 0.4."""
    reveal, again = rates(sampler, step(0.5, 0.2))
    assert reveal == pytest.approx((0.8 - (1 - sigma) * 0.5) / (1 - 0.5), abs=0.015)
    assert again == pytest.approx(sigma, abs=0.015)


@pytest.mark.parametrize("sampler", [Cap(eta=1.0), Rescale(eta=1.0), Conf(), Loop(eta=1.0)])
def test_the_last_step_leaves_nothing_masked(sampler: Any) -> None:
    log_p = torch.zeros(6000, 8, dtype=torch.float64)
    assert rates(sampler, step(0.3, 0.0), log_p) == (1, 0)
    assert rates(sampler, step(0.0, 0.0), log_p) == (1, 0)


def test_conf_masks_the_doubtful_again_in_proportion_to_their_softmax() -> None:
    chances = torch.tensor([0.0, 0.0, 0.0, 0.0, 0.1, 0.4, 0.7, 1.0], dtype=torch.float64)
    then = Conf(eta=0.8).choose(SamplerInput(SPACE, HALF, chances.log().expand(6000, -1)), step(0.5, 0.2), IMAGES)
    share = then.double().mean(0)
    wanted = 0.8 * 0.4 * torch.softmax(-chances[4:], 0)
    torch.testing.assert_close(share[4:], wanted, atol=0.015, rtol=0)
    torch.testing.assert_close(share[:4], torch.full((4,), 0.2 / 0.5, dtype=torch.float64), atol=0.03, rtol=0)
    assert wanted[0] > wanted[-1] * 2


def test_conf_needs_no_memory_before_the_first_token() -> None:
    everything = torch.ones_like(HALF)
    then = Conf().choose(SamplerInput(SPACE, everything, None), step(1.0, 0.75), IMAGES)
    assert float(then.double().mean()) == pytest.approx(0.75, abs=0.01)


def test_the_loop_goes_down_stays_and_goes_down() -> None:
    times = torch.linspace(1, 0, 21, dtype=torch.float64)
    loop = Loop(eta=0.02, t_on=0.55, t_off=0.05, alpha_on=0.9)
    plan = list(loop.plan(lambda t: t, SPACE, times, Streams.root(0, "shared")))
    for one in plan[:9]:
        assert one.share_then == pytest.approx(1 - 0.9 * (1 - one.s) / 0.45)
    for one in plan[9:19]:
        assert (one.share_now, one.share_then) == (pytest.approx(0.1), pytest.approx(0.1))
        assert rates(loop, one)[1] == pytest.approx(0.02, abs=0.01)
    assert plan[19].share_then == 0
    assert rates(loop, plan[3])[1] == 0
    bent = list(loop.plan(lambda t: torch.sin(math.pi / 2 * t), SPACE, times, Streams.root(0, "shared")))
    assert bent[2].share_then == pytest.approx(1 - 0.9 * (1 - math.sin(math.pi / 2 * (0.85 - 0.55) / 0.45)))


@pytest.mark.parametrize("options", [{"t_on": 0.3, "t_off": 0.3}, {"t_on": 1.0}, {"t_off": 0.8}])
def test_a_loop_that_ends_before_it_begins_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"t_off .* must be below t_on"):
        Loop(**options)


VECTORS = Recipe.of(
    tokenizer="patch(size=2)",
    network="mae(width=16, depth=1)",
    head="diffusion(width=16, depth=1)",
    solver="dpmpp_multistep(steps=2)",
    sampling_steps=16,
)


@cache
def drawn(sampler: str, batch: int, count: int = 10) -> tuple[Tensor, list[State], Meter]:
    """Images of a model of vectors with a diffusion head, stirred so that everything depends on everything; the states; costs."""
    recipe = VECTORS.change(sampler=sampler)
    assembly = assemble(registry(), recipe)
    assert assembly.unfit == ""
    parts, meter = assembly.parts, Meter()
    tokenizer = parts.tokenizer.build(assembly.data.shape)
    list(tokenizer.fit(assembly.data.train[:200], 0))
    torch.manual_seed(0)
    module = parts.process.build(parts, tokenizer.space, assembly.classes)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    model = Model(parts, module, tokenizer, tokenizer.space, assembly.classes, torch.device("cpu"))
    images = torch.cat([part.images for part in sample_images(model, recipe, count, batch, meter)])
    return images, list(sample_tokens(model, recipe, torch.arange(count))), meter


@pytest.mark.parametrize("sampler", ["remdm_cap(eta=0.3)", "remdm_rescale(eta=0.3)", "remdm_loop(eta=0.3)"])
def test_what_a_diffusion_head_drew_is_masked_and_drawn_again(sampler: str) -> None:
    images, states, meter = drawn(sampler, 10)
    assert not states[-1].mask.any()
    again = torch.stack([after.mask & ~before.mask for before, after in pairwise(states)])
    assert again.any(0).double().mean() > 0.3
    assert all((state.tokens[state.mask] == 0).all() for state in states)
    assert states[-1].log_p is None
    first = states[0].tokens.new_zeros(states[0].tokens.shape)
    seen = torch.zeros_like(states[0].mask)
    for state in states:
        fresh = ~state.mask & ~seen
        first[fresh], seen = state.tokens[fresh], seen | ~state.mask
    redrawn = again.any(0)
    assert (states[-1].tokens[redrawn] != first[redrawn]).any(-1).all()
    assert torch.equal(states[-1].tokens[~redrawn], first[~redrawn])
    # The head is paid once a token, and once more each time it was masked again.
    assert meter.rows["head"] == 2 * (10 * 16 + int(again.sum()))
    (seven, _, _) = drawn(sampler, 7)
    assert (images.double() - seven.double()).abs().max() <= 1


def test_vectors_have_no_probability_to_remember() -> None:
    assert "remdm_conf ranks codes" in assemble(registry(), VECTORS.change(sampler="remdm_conf")).unfit


@pytest.mark.parametrize("name", sorted(mgbench_recipes()))
def test_its_recipes_can_be_put_together_and_share_the_model_of_maskgit(name: str) -> None:
    made = assemble(registry(), registry().recipes["remdm"][name])
    assert made.unfit == ""
    assert made.keys.training == assemble(registry(), registry().recipes["maskgit"]["maskgit"]).keys.training
    assert REMDM.sampler is not None
