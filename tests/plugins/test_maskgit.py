import pytest
import torch
from mgbench_plugins.maskgit import MASKGIT, MaskGIT, mgbench_recipes
from torch import Tensor

from mgbench.errors import Unfit
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import SamplerInput, Step
from mgbench.registry.resolve import assemble
from tests.laws.registered import registry

IMAGES = Streams.root(0, "images").fold(torch.arange(2000))
CONFIDENCE = torch.log(torch.tensor([0.1, 0.9, 0.5, 0.3])).double().expand(2000, -1)
MASK = torch.ones(2000, 4, dtype=torch.bool)


def seen(mask: Tensor, log_p: Tensor | None = CONFIDENCE) -> SamplerInput:
    return SamplerInput(TokenSpace(4, 1, codes=2), mask, log_p)


def step(index: int, reveal: int = 1, total: int = 4) -> Step:
    return Step(index, total, 1 - index / total, 1 - (index + 1) / total, 1, 1 - reveal / 4, reveal)


def share_of_best(temperature: float, index: int) -> float:
    then = MaskGIT(temperature=temperature).choose(seen(MASK), step(index), IMAGES)
    return float((~then[:, 1]).double().mean())


def test_without_temperature_the_most_confident_are_revealed() -> None:
    then = MaskGIT(temperature=0.0).choose(seen(MASK), step(0, reveal=2), IMAGES)
    assert (then == torch.tensor([True, False, False, True])).all()


def test_visible_tokens_are_never_chosen() -> None:
    mask = MASK.clone()
    mask[:, 1] = False
    then = MaskGIT(temperature=0.0).choose(seen(mask), step(0), IMAGES)
    assert (then == torch.tensor([True, False, False, True])).all()


def test_the_noise_falls_to_nothing_in_the_last_step() -> None:
    shares = [share_of_best(4.5, index) for index in range(4)]
    assert shares == sorted(shares)
    assert shares[0] < 0.5
    assert shares[-1] == 1


def test_the_noise_is_gumbel_scaled_by_what_is_left_of_the_temperature() -> None:
    """argmax(log p + τ·Gumbel) picks i with probability p_i^(1/τ) / Σ p_j^(1/τ)."""
    annealed = 2.0 * (1 - 1 / 4)
    powers = CONFIDENCE[0].exp() ** (1 / annealed)
    assert share_of_best(2.0, 0) == pytest.approx(float(powers[1] / powers.sum()), abs=0.04)


def test_it_needs_confidence() -> None:
    with pytest.raises(ValueError, match="log-probabilities"):
        MaskGIT().choose(seen(MASK, None), step(0), IMAGES)


def test_vectors_have_no_probability_to_rank_by() -> None:
    with pytest.raises(Unfit, match="random_order"):
        MaskGIT().check(Parts(), TokenSpace(4, 3))
    recipe = MASKGIT.change(tokenizer="patch", head="diffusion")
    assert "maskgit ranks codes" in assemble(registry(), recipe).unfit


@pytest.mark.parametrize("name", sorted(mgbench_recipes()))
def test_its_recipes_can_be_put_together(name: str) -> None:
    assert assemble(registry(), registry().recipes["maskgit"][name]).unfit == ""
