import math

import pytest
import torch
from diffusers import DDPMScheduler

from mgbench.components.heads.noise_schedule import (
    Table,
    binned_log_likelihood,
    cosine_betas,
    learned_log_variance,
    posterior_kl,
    respaced,
)


def scheduler(table: Table) -> DDPMScheduler:
    made = DDPMScheduler(
        len(table.betas), trained_betas=table.betas.numpy(), variance_type="learned_range", clip_sample=False
    )
    made.set_timesteps(len(table.betas))
    return made


def test_the_cosine_table_is_that_of_diffusers() -> None:
    theirs = DDPMScheduler(1000, beta_schedule="squaredcos_cap_v2").betas
    torch.testing.assert_close(cosine_betas().float(), theirs, rtol=2e-6, atol=0)
    assert cosine_betas().max() == 0.999


@pytest.mark.parametrize("steps", [1000, 100, 10])
def test_the_learned_variance_is_that_of_diffusers(steps: int) -> None:
    _, table = respaced(cosine_betas(), steps)
    theirs = scheduler(table)
    value = torch.linspace(-1, 1, 5)
    for index in (1, steps // 2, steps - 1):
        low, high = table.posterior_log_variance[index].float(), table.betas[index].log().float()
        # Theirs computes its table in float32.
        torch.testing.assert_close(
            learned_log_variance(value, low, high), theirs._get_variance(index, value), rtol=1e-4, atol=1e-4
        )


def test_a_respaced_table_keeps_its_times_signal() -> None:
    betas = cosine_betas()
    for steps in (1, 2, 7, 100, 999, 1000):
        times, table = respaced(betas, steps)
        assert times == sorted(set(times))
        assert len(times) == steps
        torch.testing.assert_close(table.alpha_bar, Table(betas).alpha_bar[times], rtol=1e-7, atol=0)
    assert respaced(betas, 1000)[0] == list(range(1000))
    assert respaced(betas, 100)[0][0] == 0
    assert respaced(betas, 100)[0][-1] == 999


def test_the_posterior_is_that_of_bayes() -> None:
    """Multiply q(x_i | x_{i−1}) and q(x_{i−1} | x_0), both Gaussian in x_{i−1}, and read mean and variance off."""
    table = Table(cosine_betas())
    index, x_0, x_i = 400, 0.3, -1.2
    beta, before = table.betas[index], table.alpha_bar_before[index]
    precision = (1 - beta) / beta + 1 / (1 - before)
    mean = ((1 - beta).sqrt() * x_i / beta + before.sqrt() * x_0 / (1 - before)) / precision
    coef_x0, coef_xt = table.posterior_weights
    torch.testing.assert_close(table.posterior_variance[index], 1 / precision)
    torch.testing.assert_close(coef_x0[index] * x_0 + coef_xt[index] * x_i, mean)


def test_the_first_logarithm_is_finite() -> None:
    logarithm = Table(cosine_betas()).posterior_log_variance
    assert logarithm.isfinite().all()
    assert logarithm[0] == logarithm[1]


def test_kl_is_that_of_torch() -> None:
    mean, other = torch.randn(2, 50, generator=torch.Generator().manual_seed(0)).double()
    log_variance, other_log_variance = torch.randn(2, 50, generator=torch.Generator().manual_seed(1)).double()
    first = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    second = torch.distributions.Normal(other, (0.5 * other_log_variance).exp())
    expected = torch.distributions.kl_divergence(first, second)
    found = posterior_kl((mean - other).square(), (-log_variance).exp(), other_log_variance - log_variance)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("mean", "scale"), [(0.0, 0.1), (0.4, 0.02), (-0.98, 0.3)])
def test_the_bins_hold_all_probability(mean: float, scale: float) -> None:
    bins = torch.linspace(-1, 1, 256, dtype=torch.float64)
    centre, log_scale = torch.tensor(mean, dtype=torch.float64), torch.tensor(math.log(scale), dtype=torch.float64)
    log_p = binned_log_likelihood(bins, centre, log_scale)
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-6)
    # The tanh approximation of the normal distribution is good to about 1e-4.
    inside = torch.distributions.Normal(centre, scale)
    expected = inside.cdf(bins + 1 / 255) - inside.cdf(bins - 1 / 255)
    torch.testing.assert_close(log_p.exp()[1:-1], expected[1:-1], atol=4e-4, rtol=0)


def test_the_table_is_one_of_numbers_whatever_device_is_usual_when_it_is_first_asked_for() -> None:
    with torch.device("meta"):
        assert not cosine_betas(17).is_meta
