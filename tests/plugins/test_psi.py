import pytest
import torch
from mgbench_plugins.psi import Psi, mgbench_recipes
from mgbench_plugins.remdm import Cap

from mgbench.components.samplers.position_first import Ancestral
from mgbench.registry.resolve import assemble
from tests.laws.exact import JOINT, chain, finished, states
from tests.laws.registered import registry

FLAT = Psi(0.6, 0.6, 0.6)


@pytest.mark.parametrize("steps", [1, 2, 5, 12])
def test_with_the_posterior_alone_it_is_ancestral_bit_for_bit(steps: int) -> None:
    ours, theirs = states(Psi(1.0, 1.0, 1.0), steps), states(Ancestral(), steps)
    assert all(torch.equal(one.tokens, other.tokens) for one, other in zip(ours, theirs, strict=True))


def kernels(sampler: Psi, steps: int) -> list[tuple[float, float]]:
    """What a step does to a masked and to a visible token, by the two laws it is mixed of; γ = t."""
    made = []
    for index in range(steps):
        t, s = 1 - index / steps, 1 - (index + 1) / steps
        kappa = sampler.kappa(t)
        made.append((kappa * (t - s) / t + (1 - kappa) * (1 - s), (1 - kappa) * s))
    return made


@pytest.mark.parametrize("sampler", [Psi(0.2, 0.2, 0.2), Psi(1.0, 0.5, 0.0), Psi(0.0, 0.0, 0.0)])
def test_its_images_follow_the_law_of_its_chain(sampler: Psi) -> None:
    tokens = finished(sampler, 5)
    assert JOINT.excess(tokens, chain(JOINT, 0, kernels(sampler, 5))) < 4


def test_hiding_anew_in_every_step_is_another_law_than_ancestral() -> None:
    tokens = finished(Psi(0.0, 0.0, 0.0), 5)
    assert JOINT.excess(tokens, chain(JOINT, 0, kernels(Psi(1.0, 1.0, 1.0), 5))) > 4


def test_it_contains_remdm() -> None:
    """σ = min(η, σ_max) is κ = 1 − σ/γ(s), where that is no less than 0."""
    eta, steps = 0.1, 10
    ours, theirs = [], []
    for index in range(steps - 1):
        a_t, a_s = index / steps, (index + 1) / steps
        kappa = 1 - eta / (1 - a_s)
        ours.append((kappa * (a_s - a_t) / (1 - a_t) + (1 - kappa) * a_s, (1 - kappa) * (1 - a_s)))
        theirs.append(((a_s - (1 - eta) * a_t) / (1 - a_t), eta))
    # From nothing visible, σ changes nothing.
    assert ours[0][0] == pytest.approx(theirs[0][0] + 0.0)
    torch.testing.assert_close(torch.tensor(ours), torch.tensor(theirs))
    assert JOINT.excess(finished(Cap(eta=eta), steps), chain(JOINT, 0, [*ours, (1.0, 0.0)])) < 4


def test_kappa_goes_by_thirds_of_time() -> None:
    sampler = Psi(0.1, 0.2, 0.3)
    assert [sampler.kappa(t) for t in (1.0, 0.7, 0.6, 0.4, 0.3, 0.01)] == [0.1, 0.1, 0.2, 0.2, 0.3, 0.3]


def test_the_share_that_is_masked_follows_the_schedule() -> None:
    seen = states(FLAT, 10)
    for index in (2, 5, 8):
        assert float(seen[index].mask.double().mean()) == pytest.approx(1 - (index + 1) / 10, abs=0.01)


def test_its_recipe_shares_the_model_of_maskgit() -> None:
    made = assemble(registry(), mgbench_recipes()["psi"])
    assert made.unfit == ""
    assert made.keys.training == assemble(registry(), registry().recipes["maskgit"]["maskgit"]).keys.training
