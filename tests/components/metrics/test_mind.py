import math

import pytest
import torch
from scipy.stats import wasserstein_distance_nd
from torch import Tensor

from mgbench.components.metrics.mind import Mind, MindInfinity, _directions, _transport, sliced_distance
from mgbench.errors import Unfit, UserError
from mgbench.interfaces.data import Features, Statistics


def normal(count: int, dim: int = 8, seed: int = 0) -> Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mind(first: Tensor, second: Tensor, directions: int = 1000) -> float:
    return Mind(directions)(Features(first), Features(second))["mind"]


def test_a_shift_costs_three_times_its_square() -> None:
    """Along u every image moves by u·s, and the mean of (u·s)² over directions is |s|²/F."""
    features, shift = normal(300), torch.tensor([3.0, 4, 0, 0, 0, 0, 0, 0], dtype=torch.float64)
    assert mind(features, features + shift, 20_000) == pytest.approx(3 * 25, rel=0.03)


def test_a_change_of_scale_costs_three_times_the_change_of_every_deviation() -> None:
    features = normal(300)
    features = features - features.mean(0)
    expected = 3 * 0.5**2 * float(features.square().sum(1).mean())
    assert mind(features, 1.5 * features, 20_000) == pytest.approx(expected, rel=0.03)


def test_equal_sets_are_at_zero_in_any_order() -> None:
    features = normal(101)
    assert mind(features, features[torch.randperm(101)]) < 1e-20


@pytest.mark.parametrize("others", [40, 57, 80, 9])
def test_one_line_is_the_transport_between_two_sets_of_any_sizes(others: int) -> None:
    """Against quantile functions integrated on a fine grid, which is another way to the same distance."""
    one, two = normal(40, 1), normal(others, 1, seed=1) + 0.3
    found = sliced_distance(one, two, torch.ones(1, 1, dtype=torch.float64)) / 3
    steps = 40 * others
    middles = (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
    quantiles = [numbers[:, 0].sort().values[(middles * len(numbers)).floor().long()] for numbers in (one, two)]
    assert found == pytest.approx(float((quantiles[0] - quantiles[1]).square().mean()), rel=1e-9)


def test_scipy_agrees_on_a_line_of_points_far_apart() -> None:
    """Where each point moves by one of two lengths, the distance of first order tells how many moved."""
    one, two = torch.zeros(6, 1, dtype=torch.float64), torch.tensor([[0.0], [0], [2], [2], [2], [0]]).double()
    moved = wasserstein_distance_nd(one.numpy(), two.numpy())
    assert sliced_distance(one, two, torch.ones(1, 1, dtype=torch.float64)) == pytest.approx(3 * 2 * moved)


@pytest.mark.parametrize(("count", "others"), [(5, 5), (4, 6), (1, 7), (2500, 2100)])
def test_all_is_carried_and_all_arrives(count: int, others: int) -> None:
    rows, targets, shares = _transport(count, others)
    given = torch.zeros(count, dtype=torch.float64).index_add(0, rows, shares)
    taken = torch.zeros(others, dtype=torch.float64).index_add(0, targets, shares)
    torch.testing.assert_close(given, torch.full_like(given, 1 / count))
    torch.testing.assert_close(taken, torch.full_like(taken, 1 / others))


def test_directions_are_even_and_of_length_one() -> None:
    directions = _directions(20_000, 6, 0)
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(20_000, dtype=torch.float64))
    torch.testing.assert_close(
        directions.T @ directions / 20_000, torch.eye(6, dtype=torch.float64) / 6, atol=0.01, rtol=0
    )


def test_it_sees_what_two_moments_cannot() -> None:
    """Normal against two points ±1 in every feature: means and variances are equal, and FID is 0 but for its bias."""
    generator = torch.Generator().manual_seed(3)
    points = torch.randint(0, 2, (2000, 2), generator=generator).double() * 2 - 1
    assert mind(points, normal(2000, 2)) > 10 * mind(normal(2000, 2, seed=1), normal(2000, 2))


def test_torch_fidelity_agrees_where_it_has_the_metric() -> None:
    theirs = pytest.importorskip("torch_fidelity.metric_mind", reason="torch-fidelity has it from 0.5.0 on")
    one, two = normal(600), 1.2 * normal(600, seed=1)
    said = theirs.mind_features_to_metric(
        one.float(), two.float(), mind_num_projections=5000, cuda=False, rng_seed=0, verbose=False
    )
    assert mind(one, two, 5000) == pytest.approx(said["monge_inception_distance"], rel=0.05)


def test_infinity_takes_the_bias_of_the_images_away() -> None:
    reference = normal(20_000, 4)
    few = normal(400, 4, seed=1)
    biased = mind(few, reference, 100)
    assert abs(MindInfinity(directions=100)(Features(few), Features(reference))["mind_infinity"]) < biased / 2


def test_what_cannot_be_measured_is_refused() -> None:
    known = Features(torch.empty(0, 8), statistics=Statistics(torch.zeros(8), torch.eye(8)))
    for metric in (Mind(), MindInfinity()):
        with pytest.raises(Unfit, match="compares images one by one"):
            metric(Features(normal(20)), known)
        with pytest.raises(UserError, match="not finite"):
            metric(Features(normal(20) * math.nan), Features(normal(20)))
    with pytest.raises(Unfit, match="do not make 10 sets"):
        MindInfinity()(Features(normal(6)), Features(normal(20)))
