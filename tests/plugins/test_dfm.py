import math
from typing import Any

import pytest
import torch
from mgbench_plugins.dfm import Euler, mgbench_recipes

from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import SamplerInput, Step
from mgbench.registry.resolve import assemble
from tests.laws.registered import registry

SPACE = TokenSpace(8, 3)
IMAGES = Streams.root(0, "images").fold(torch.arange(6000))
HALF = (torch.arange(8) < 4).expand(6000, -1)


def rates(sampler: Any, now: Step) -> tuple[float, float]:
    """How often a masked token is revealed, and a visible one masked again."""
    then = sampler.choose(SamplerInput(SPACE, HALF), now, IMAGES)
    return float((~then)[HALF].double().mean()), float(then[~HALF].double().mean())


@pytest.mark.parametrize("c", [0.0, 1.0, 3.5])
def test_jumps_have_the_probability_of_their_integrated_rates(c: float) -> None:
    """∫(1 + c)·κ′/(1 − κ) = −(1 + c)·ln(γ(s)/γ(t)) and ∫c·κ′/κ = c·ln(κ(s)/κ(t))."""
    reveal, again = rates(Euler(corrector=c), Step(4, 10, 0.6, 0.5, 0.6, 0.5))
    assert reveal == pytest.approx(1 - math.exp((1 + c) * math.log(0.5 / 0.6)), abs=0.015)
    assert again == pytest.approx(1 - math.exp(-c * math.log(0.5 / 0.4)), abs=0.015)


def test_the_corrector_rises_and_falls_with_the_time_before_the_step() -> None:
    """c(t) = corrector·(1 − t)^rise·t^fall."""
    shaped = Euler(corrector=12.0, rise=2.0, fall=0.25)
    now = Step(4, 10, 0.6, 0.5, 0.6, 0.5)
    assert rates(shaped, now) == rates(Euler(corrector=12 * 0.4**2 * 0.6**0.25), now)


@pytest.mark.parametrize("c", [0.0, 5.0])
def test_the_last_step_reveals_all_and_masks_nothing(c: float) -> None:
    assert rates(Euler(corrector=c), Step(9, 10, 0.1, 0.0, 0.1, 0.0)) == (1, 0)


def test_where_nothing_changes_nothing_jumps() -> None:
    for share in (1.0, 0.5, 0.0):
        assert rates(Euler(corrector=5.0), Step(4, 10, 0.6, 0.5, share, share)) == (0 if share else 1, 0)


@pytest.mark.parametrize("name", sorted(mgbench_recipes()))
def test_its_recipes_can_be_put_together_and_share_the_model_of_maskgit(name: str) -> None:
    made = assemble(registry(), registry().recipes["dfm"][name])
    assert made.unfit == ""
    assert made.keys.training == assemble(registry(), registry().recipes["maskgit"]["maskgit"]).keys.training


def test_it_also_serves_vectors() -> None:
    recipe = registry().recipes["dfm"]["dfm"].change(tokenizer="patch", head="diffusion")
    assert assemble(registry(), recipe).unfit == ""
