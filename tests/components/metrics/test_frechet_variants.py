import pytest
import torch
from torch import Tensor

from mgbench.components.metrics.distances import Fid
from mgbench.components.metrics.extrapolation import _sets
from mgbench.components.metrics.frechet_variants import FidInfinity, Sfid
from mgbench.errors import Unfit
from mgbench.interfaces.data import Features, Statistics


def normal(count: int, dim: int, seed: int, offset: float = 0.0) -> Features:
    generator = torch.Generator().manual_seed(seed)
    return Features(torch.randn(count, dim, generator=generator, dtype=torch.float64) + offset)


def statistics_of(features: Tensor) -> Statistics:
    return Statistics(features.mean(0), torch.cov(features.T))


@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_the_extrapolation_comes_nearer_to_the_truth_than_any_set(offset: float) -> None:
    dim = 16
    exact = Features(torch.empty(0, dim), statistics=Statistics(torch.zeros(dim), torch.eye(dim)))
    truth = dim * offset**2
    sets = [normal(400, dim, seed, offset) for seed in range(30)]
    infinite = torch.tensor([FidInfinity()(one, exact)["fid_infinity"] for one in sets])
    plain = torch.tensor([Fid()(one, exact)["fid"] for one in sets])
    assert plain.mean() - truth > 0.1
    assert abs(infinite.mean() - truth) < 0.2 * (plain.mean() - truth)


def test_it_is_the_end_of_a_line_through_sets_of_two_sizes() -> None:
    features, reference = normal(100, 4, 0).features, normal(500, 4, 1, 0.5)
    metric = FidInfinity(points=2, smallest=0.5)
    halves = [Fid()(Features(part), reference)["fid"] for part in _sets("fid_infinity", features, 50, 0)]
    whole = Fid()(Features(features), reference)["fid"]
    assert len(halves) == 2
    assert metric(Features(features), reference)["fid_infinity"] == pytest.approx(2 * whole - sum(halves) / 2, rel=1e-9)


def test_it_is_seeded_and_refuses_what_is_too_small() -> None:
    one, two = normal(60, 4, 0), normal(60, 4, 1)
    first, again, other = (FidInfinity(seed=seed)(one, two)["fid_infinity"] for seed in (0, 0, 1))
    assert first == again != other
    with pytest.raises(Unfit, match="12 images do not make 10 sets"):
        FidInfinity()(normal(12, 4, 0), two)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_statistics_do_for_the_images(dtype: torch.dtype) -> None:
    one, two = normal(300, 8, 0), normal(400, 8, 1, 0.4)
    known = statistics_of(two.features)
    known = Statistics(known.mean.to(dtype), known.covariance.to(dtype))
    expected = Fid()(one, two)["fid"]
    assert Fid()(one, Features(torch.empty(0, 8), statistics=known))["fid"] == pytest.approx(expected, rel=1e-5)


def test_sfid_sees_where_things_stand() -> None:
    generator = torch.Generator().manual_seed(0)
    places = torch.rand(200, 9, generator=generator, dtype=torch.float64) * torch.arange(1, 10)
    one = Features(places.mean(1, keepdim=True).expand(-1, 2), spatial=places)
    moved = Features(one.features, spatial=places.flip(1))
    assert Sfid()(one, one)["sfid"] < 1e-8
    assert Sfid()(moved, one)["sfid"] > 1
    assert Fid()(moved, one)["fid"] < 1e-8
    known = Features(torch.empty(0, 2), spatial_statistics=statistics_of(places))
    assert Sfid()(moved, known)["sfid"] == pytest.approx(Sfid()(moved, one)["sfid"], rel=1e-9)


@pytest.mark.parametrize(
    ("generated", "reference", "sentence"),
    [
        (Features(torch.ones(3, 2)), Features(torch.ones(3, 2)), "this extractor has none"),
        (
            Features(torch.ones(3, 2), spatial=torch.ones(3, 2)),
            Features(torch.ones(0, 2), statistics=Statistics(torch.ones(2), torch.eye(2))),
            "the statistics of the reference have none",
        ),
    ],
)
def test_sfid_says_what_it_needs(generated: Features, reference: Features, sentence: str) -> None:
    with pytest.raises(Unfit, match=sentence):
        Sfid()(generated, reference)
