import pytest
import torch
from torch import Tensor

from mgbench.components.metrics.distances import Fid, Kid, kernel_distance
from mgbench.errors import Unfit, UserError
from mgbench.interfaces.components import Metric
from mgbench.interfaces.data import Features, Statistics

DISTANCES = pytest.mark.parametrize(
    "metric", [Fid(), Kid(), Kid(subsets=3, subset_size=50)], ids=["fid", "kid", "kid_subsets"]
)


def normal(count: int, dim: int = 8, seed: int = 0, offset: float = 0.0) -> Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + offset


@pytest.mark.parametrize(("first", "second"), [(50, 70), (2, 2), (2500, 2100)])
def test_kid_is_the_mean_over_pairs(first: int, second: int) -> None:
    one, two = normal(first, seed=0), normal(second, seed=1, offset=0.3)

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / 8 + 1) ** 3

    inside = [(kernel(x, x).sum() - kernel(x, x).diagonal().sum()) / (len(x) * (len(x) - 1)) for x in (one, two)]
    expected = float(inside[0] + inside[1] - 2 * kernel(one, two).mean())
    assert kernel_distance(one, two) == pytest.approx(expected, rel=1e-9)


def test_kid_of_equal_distributions_is_zero_on_average() -> None:
    values = torch.tensor([kernel_distance(normal(60, seed=2 * i), normal(60, seed=2 * i + 1)) for i in range(200)])
    assert abs(float(values.mean())) < 3 * float(values.std()) / 200**0.5
    assert 0.2 < float((values < 0).double().mean()) < 0.8


def test_kid_of_subsets_is_seeded() -> None:
    sets = Features(normal(100)), Features(normal(90, seed=1))
    first, again, other = (Kid(subsets=4, subset_size=40, seed=seed)(*sets)["kid"] for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize("size", [1, 91])
def test_kid_refuses_subsets_larger_than_the_sets(size: int) -> None:
    with pytest.raises(Unfit, match=r"subset_size is .* from 2 to 90"):
        Kid(subsets=4, subset_size=size)(Features(normal(100)), Features(normal(90)))


@DISTANCES
def test_a_distance_grows_with_the_difference(metric: Metric) -> None:
    reference = Features(normal(400))
    values = [
        next(iter(metric(Features(normal(400, seed=1, offset=by)), reference).values())) for by in (0.0, 0.5, 1.0, 2.0)
    ]
    assert values == sorted(values)


@DISTANCES
@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (torch.ones(1, 8), "at least 2 images"),
        (torch.full((60, 8), float("nan")), "60 of 60 images"),
        (torch.ones(60, 9), "one extractor for both"),
    ],
)
def test_what_cannot_be_measured_is_refused(metric: Metric, bad: Tensor, sentence: str) -> None:
    with pytest.raises((Unfit, UserError), match=sentence):
        metric(Features(bad), Features(normal(60)))
    with pytest.raises((Unfit, UserError), match=sentence):
        metric(Features(normal(60)), Features(bad))


def test_kid_needs_images_and_not_statistics() -> None:
    known = Features(torch.empty(0, 8), statistics=Statistics(torch.zeros(8), torch.eye(8)))
    with pytest.raises(Unfit, match="kid compares images one by one"):
        Kid()(Features(normal(20)), known)
    with pytest.raises(Unfit, match="kid compares images one by one, and the other side is a mean"):
        Kid()(known, Features(normal(20)))
