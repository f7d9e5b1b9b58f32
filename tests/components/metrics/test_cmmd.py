import math

import pytest
import torch
from sklearn.metrics.pairwise import rbf_kernel

from mgbench.components.metrics.cmmd import Cmmd, gaussian_discrepancy
from mgbench.errors import Unfit
from mgbench.interfaces.data import Features, Statistics


def normal(count: int, dim: int = 8, seed: int = 0, offset: float = 0.0) -> torch.Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + offset


@pytest.mark.parametrize("sigma", [0.5, 2.0, 10.0])
@pytest.mark.parametrize(("count", "others"), [(40, 60), (2, 3), (2100, 50)])
def test_scikit_learn_agrees(sigma: float, count: int, others: int) -> None:
    one, two = normal(count), normal(others, seed=1, offset=0.5)
    kernels = [
        rbf_kernel(x.numpy(), y.numpy(), 1 / (2 * sigma**2)).mean() for x, y in ((one, one), (two, two), (one, two))
    ]
    assert gaussian_discrepancy(one, two, sigma) == pytest.approx(kernels[0] + kernels[1] - 2 * kernels[2], rel=1e-6)


def test_two_points_are_as_far_as_their_formula_says() -> None:
    one, two = torch.zeros(2, 3, dtype=torch.float64), torch.full((2, 3), 2.0, dtype=torch.float64)
    assert gaussian_discrepancy(one, two, 1.5) == pytest.approx(2 - 2 * math.exp(-12 / (2 * 1.5**2)))


def test_two_normal_laws_are_as_far_as_their_integral_says() -> None:
    """E k(x, y) of N(a, I) and N(b, I) is (σ²/(σ²+2))^(F/2) exp(−|a−b|²/(2(σ²+2)))."""
    sigma, dim, offset = 2.0, 3, 0.8
    share = (sigma**2 / (sigma**2 + 2)) ** (dim / 2)
    expected = 2 * share * (1 - math.exp(-dim * offset**2 / (2 * (sigma**2 + 2))))
    found = gaussian_discrepancy(normal(4000, dim), normal(4000, dim, seed=1, offset=offset), sigma)
    assert found == pytest.approx(expected, rel=0.1)


def test_features_count_by_their_direction_unless_asked() -> None:
    one, two = normal(50), normal(60, seed=1)
    near = Cmmd()(Features(one), Features(two))["cmmd"]
    assert Cmmd()(Features(one), Features(5 * two))["cmmd"] == pytest.approx(near)
    assert Cmmd(unit=False)(Features(one), Features(5 * two))["cmmd"] > 10 * near


def test_equal_sets_are_at_zero_and_a_wide_kernel_keeps_its_digits() -> None:
    features = normal(300)
    assert Cmmd()(Features(features), Features(features.clone()))["cmmd"] < 1e-9
    # A kernel much wider than the data sees the distance of the means: (|a−b|/σ)².
    apart = gaussian_discrepancy(features, features + 1e-3, 1e4)
    assert apart == pytest.approx(8 * 1e-6 / 1e8, rel=1e-3)


def test_statistics_are_not_enough() -> None:
    known = Features(torch.empty(0, 8), statistics=Statistics(torch.zeros(8), torch.eye(8)))
    with pytest.raises(Unfit, match="cmmd compares images one by one"):
        Cmmd()(Features(normal(20)), known)
