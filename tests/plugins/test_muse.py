import pytest
import torch
from mgbench_plugins.muse import Muse, mgbench_recipes
from torch import Tensor

from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import SamplerInput, Step
from mgbench.registry.resolve import assemble
from tests.laws.registered import registry

IMAGES = Streams.root(0, "images").fold(torch.arange(4000))
MASK = torch.ones(4000, 4, dtype=torch.bool)
# The second token is the surest, but the third has the largest logits.
LOGITS = torch.tensor([[1.0, 0.0], [2.0, -9.0], [4.0, 3.5], [0.0, 0.0]], dtype=torch.float64)


def view(codes: int = 0, mask: Tensor = MASK) -> SamplerInput:
    log_p = torch.log_softmax(LOGITS, -1)[:, codes]
    return SamplerInput(TokenSpace(4, 1, codes=2), mask, log_p.expand(4000, -1), LOGITS.expand(4000, -1, -1))


def step(index: int, reveal: int = 1, left: float = 0.75) -> Step:
    return Step(index, 4, 1 - index / 4, 1 - (index + 1) / 4, 1.0, left, reveal)


def test_tokens_are_ranked_by_their_logits_and_not_by_their_probabilities() -> None:
    then = Muse(temperature=0.0).choose(view(), step(0), IMAGES)
    assert (~then).double().mean(0).tolist() == [0, 0, 1, 0]
    then = Muse(temperature=0.0).choose(view(), step(0, reveal=2), IMAGES)
    assert (~then).double().mean(0).tolist() == [0, 1, 1, 0]


def test_the_noise_is_gumbel_scaled_by_what_is_left_of_the_temperature() -> None:
    """argmax(l + τ·Gumbel) picks i with probability exp(l_i/τ) / Σ exp(l_j/τ), τ = 4·(1 − 1/4) in the first step."""
    then = Muse(temperature=4.0).choose(view(), step(0), IMAGES)
    wanted = torch.softmax(LOGITS[:, 0] / 3.0, 0)
    torch.testing.assert_close((~then).double().mean(0), wanted, atol=0.03, rtol=0)


def test_values_are_drawn_at_the_same_temperature_and_greedily_at_the_end() -> None:
    muse = Muse(temperature=4.0)
    assert [muse.value_temperature(step(index)) for index in range(3)] == [3, 2, 1]
    assert muse.value_temperature(step(3, left=0.0)) == 0
    # More steps than tokens: the last one comes early.
    assert muse.value_temperature(step(1, left=0.0)) == 0


def test_visible_tokens_are_never_chosen() -> None:
    mask = MASK.clone()
    mask[:, 2] = False
    then = Muse(temperature=0.0).choose(view(mask=mask), step(0), IMAGES)
    assert (then == torch.tensor([True, False, False, True])).all()


def test_it_needs_logits() -> None:
    with pytest.raises(ValueError, match="logits"):
        Muse().choose(SamplerInput(TokenSpace(4, 1, codes=2), MASK), step(0), IMAGES)


@pytest.mark.parametrize("name", sorted(mgbench_recipes()))
def test_its_recipes_can_be_put_together_and_share_the_model_of_maskgit(name: str) -> None:
    made = assemble(registry(), registry().recipes["muse"][name])
    assert made.unfit == ""
    assert made.keys.training == assemble(registry(), registry().recipes["maskgit"]["maskgit"]).keys.training
