import math
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Generator, distributions

from mgbench.components.heads.mixture import GaussianMixture, Mixture
from mgbench.errors import Unfit
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.testing.checks import stirred

VECTORS, CODES = TokenSpace(6, 2), TokenSpace(6, 2, codes=5)


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def some(rows: int = 5, components: int = 3, dim: int = 2, seed: int = 0) -> Mixture:
    weights, means, scales = (
        torch.randn(rows, components, *rest, generator=seeded(seed + number), dtype=torch.float64)
        for number, rest in enumerate([(), (dim,), (dim,)])
    )
    return Mixture(torch.log_softmax(weights, -1), means, 0.3 * scales - 1)


def one(weights: list[float], means: list[float], scales: list[float], rows: int) -> Mixture:
    """The same mixture of numbers in every row."""
    log_weights, centres, log_scales = (
        torch.tensor(numbers, dtype=torch.float64).expand(rows, -1) for numbers in (weights, means, scales)
    )
    return Mixture(log_weights.log(), centres[..., None], log_scales.log()[..., None])


def theirs(mixture: Mixture) -> distributions.MixtureSameFamily:
    parts = distributions.Normal(mixture.means, mixture.log_scales.exp())
    chosen = distributions.Categorical(logits=mixture.log_weights)
    return distributions.MixtureSameFamily(chosen, distributions.Independent(parts, 1))


def rows(count: int) -> Streams:
    return Streams.root(0, "rows").fold(torch.arange(count))


def test_the_density_is_that_of_torch() -> None:
    mixture, x = some(), torch.randn(5, 2, generator=seeded(9), dtype=torch.float64)
    torch.testing.assert_close(mixture.log_density(x), theirs(mixture).log_prob(x))


def test_the_loss_is_the_likelihood_of_each_number() -> None:
    torch.manual_seed(0)
    module = stirred(GaussianMixture(components=4, least_scale=0.05).build(VECTORS, 3))
    z, values = torch.randn(7, 3, generator=seeded()), torch.randn(7, 2, generator=seeded(1))
    expected = -theirs(module(z)).log_prob(values.double()) / 2
    torch.testing.assert_close(module.loss(z, values, seeded()).double(), expected.detach(), rtol=1e-5, atol=1e-5)


def test_no_spread_is_below_the_least() -> None:
    module = GaussianMixture(components=2, least_scale=0.05).build(VECTORS, 3)
    with torch.no_grad():
        module.numbers.bias.fill_(-100)
    scales = module(torch.zeros(4, 3)).log_scales.exp()
    torch.testing.assert_close(scales, torch.full_like(scales, 0.05))


def test_values_are_drawn_from_the_mixture() -> None:
    weights, means, scales = [0.2, 0.5, 0.3], [-1.0, 0.3, 2.0], [0.2, 0.5, 0.1]
    values = one(weights, means, scales, 4000).draw(rows(4000))[:, 0]

    def below(x: Any) -> Any:
        return sum(w * stats.norm.cdf(x, m, s) for w, m, s in zip(weights, means, scales, strict=True))

    assert stats.kstest(values.numpy(), below).pvalue > 1e-3


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_temperature_draws_from_the_power_of_well_parted_components(temperature: float) -> None:
    """Against p^(1/T) by quadrature on a fine grid."""
    mixture = one([0.3, 0.7], [-30.0, 30.0], [0.5, 2.0], 4000)
    values = mixture.draw(rows(4000), temperature)[:, 0]
    grid = torch.linspace(-50, 50, 40_001, dtype=torch.float64)
    power = (one([0.3, 0.7], [-30.0, 30.0], [0.5, 2.0], len(grid)).log_density(grid[:, None]) / temperature).exp()
    power = power / power.sum()
    share, left = power[grid < 0].sum().item(), values < 0
    assert left.double().mean().item() == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 4000))
    for side, drawn in ((grid < 0, values[left]), (grid > 0, values[~left])):
        inside = power[side] / power[side].sum()
        mean = (inside * grid[side]).sum()
        spread = (inside * (grid[side] - mean) ** 2).sum().sqrt()
        assert drawn.std().item() == pytest.approx(spread.item(), rel=0.1)


def test_at_temperature_0_the_highest_peak_is_drawn() -> None:
    # The peak of a component is as high as its weight over its spread.
    values = one([0.4, 0.6], [-1.0, 2.0], [0.1, 1.0], 50).draw(rows(50), 0.0)
    assert torch.equal(values, torch.full_like(values, -1.0))


def test_guidance_at_0_and_1_is_without_and_with_the_label() -> None:
    c, u = some(), some(seed=5)
    for scale, expected in ((1.0, c), (0.0, u)):
        pushed = c.pushed(u, scale)
        torch.testing.assert_close(pushed.log_weights, expected.log_weights)
        torch.testing.assert_close(pushed.means, expected.means)
        torch.testing.assert_close(pushed.log_scales, expected.log_scales)


@pytest.mark.parametrize("scale", [0.5, 2.0, 5.0])
def test_guidance_of_one_gaussian_tilts_its_density(scale: float) -> None:
    """log p_c + (w − 1)(log p_c − log p_u), up to a constant, where both have one spread."""
    c, u = (one([1.0], [mean], [0.4], 9) for mean in (0.5, -0.2))
    x = torch.linspace(-3, 3, 9, dtype=torch.float64)[:, None]
    tilted = u.log_density(x) + scale * (c.log_density(x) - u.log_density(x))
    gap = c.pushed(u, scale).log_density(x) - tilted
    torch.testing.assert_close(gap, gap.mean().expand(9))


def test_guidance_gives_a_mixture_and_no_component_grows_broader() -> None:
    c, u = some(), some(seed=5)
    pushed = c.pushed(u, 4.0)
    torch.testing.assert_close(pushed.log_weights.exp().sum(-1), torch.ones(5, dtype=torch.float64))
    assert (pushed.log_scales <= torch.maximum(c.log_scales, u.log_scales)).all()
    assert (pushed.log_scales < torch.minimum(c.log_scales, u.log_scales)).any()


def test_a_trained_head_finds_both_modes() -> None:
    torch.manual_seed(0)
    module = GaussianMixture(components=3, least_scale=0.02).build(TokenSpace(1, 1), 2)
    generator, z = seeded(), torch.ones(256, 2)
    optimiser = torch.optim.Adam(module.parameters(), 2e-2)
    for _ in range(300):
        side = torch.where(torch.rand(256, 1, generator=generator) < 0.25, -1.0, 1.0)
        values = side + 0.1 * torch.randn(256, 1, generator=generator)
        optimiser.zero_grad()
        module.loss(z, values, generator).mean().backward()
        optimiser.step()
    with torch.no_grad():
        drawn = module.sample(torch.ones(2000, 2), None, 1.0, rows(2000), Parts()).values
    assert (drawn < 0).double().mean().item() == pytest.approx(0.25, abs=0.06)
    assert drawn[drawn > 0].std().item() == pytest.approx(0.1, abs=0.03)


def test_codes_do_not_fit() -> None:
    GaussianMixture().check(Parts(), VECTORS)
    with pytest.raises(Unfit, match="makes codes"):
        GaussianMixture().check(Parts(), CODES)
