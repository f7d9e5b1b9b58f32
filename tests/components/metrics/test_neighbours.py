import pytest
import torch
from torch import Tensor

from mgbench.components.metrics import neighbours
from mgbench.components.metrics.neighbours import Prdc
from mgbench.errors import Unfit
from mgbench.interfaces.data import Features, Statistics


def normal(count: int, dim: int = 6, seed: int = 0, offset: float = 0.0, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, dim, generator=generator, dtype=torch.float64) * scale + offset


def said(fake: Tensor, true: Tensor, metric: Prdc | None = None) -> dict[str, float]:
    return (metric or Prdc())(Features(fake), Features(true))


def by_definition(fake: Tensor, true: Tensor, k: int, density_k: int) -> dict[str, float]:
    """Image by image, as the papers write it."""

    def reach(own: Tensor, image: int, k: int) -> float:
        return float((own - own[image]).norm(dim=1).sort().values[k])

    def away(i: int, j: int) -> float:
        return float((fake[i] - true[j]).norm())

    fakes, trues = range(len(fake)), range(len(true))
    ball = [reach(true, j, k) for j in trues]
    wide = [reach(true, j, density_k) for j in trues]
    own = [reach(fake, i, k) for i in fakes]
    return {
        "precision": sum(any(away(i, j) <= ball[j] for j in trues) for i in fakes) / len(fake),
        "recall": sum(any(away(i, j) <= own[i] for i in fakes) for j in trues) / len(true),
        "density": sum(away(i, j) < wide[j] for i in fakes for j in trues) / (density_k * len(fake)),
        "coverage": sum(any(away(i, j) < wide[j] for i in fakes) for j in trues) / len(true),
    }


@pytest.mark.parametrize(("k", "density_k"), [(3, 5), (1, 1), (5, 2)])
@pytest.mark.parametrize("held", [2**23, 500])
def test_it_is_what_the_papers_define(k: int, density_k: int, held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_HELD", held)
    fake, true = normal(50, seed=1, offset=0.6, scale=0.8), normal(70)
    expected = by_definition(fake, true, k, density_k)
    assert said(fake, true, Prdc(k, density_k)) == pytest.approx(expected, abs=1e-12)
    assert all(0 < value < 1.5 for value in expected.values())


def test_torch_fidelity_agrees() -> None:
    theirs = pytest.importorskip("torch_fidelity.metric_prc", reason="torch-fidelity is the second opinion")
    fake, true = normal(300, seed=1, offset=0.5, scale=0.8), normal(400)
    expected = theirs.prc_features_to_metric(fake, true, verbose=False)
    ours = said(fake, true)
    assert [ours["precision"], ours["recall"]] == pytest.approx([expected["precision"], expected["recall"]], abs=1e-6)
    assert 0.1 < ours["recall"] < ours["precision"] < 1


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_set_is_precise_about_itself(scale: float) -> None:
    features = normal(60, offset=5.0) * scale
    assert said(features, features) == {"precision": 1, "recall": 1, "density": 1, "coverage": 1}


def test_far_away_is_outside() -> None:
    assert said(normal(50), normal(60, offset=100)) == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}


def test_one_image_again_and_again_is_precise_and_recalls_nothing() -> None:
    true = normal(200)
    repeated = true[:1].expand(200, -1)
    found = said(repeated, true)
    assert found["precision"] == 1
    assert found["recall"] == 1 / 200
    assert found["coverage"] < 0.1


def test_density_of_one_distribution_is_about_one() -> None:
    densities = [said(normal(200, seed=2 * i), normal(200, seed=2 * i + 1))["density"] for i in range(20)]
    assert sum(densities) / 20 == pytest.approx(1, abs=0.1)


def test_too_few_neighbours_are_refused() -> None:
    with pytest.raises(Unfit, match="5 images have no 5th neighbour"):
        said(normal(5), normal(60))


def test_statistics_have_no_neighbours() -> None:
    known = Statistics(torch.zeros(6), torch.eye(6))
    with pytest.raises(Unfit, match="prdc compares images one by one"):
        Prdc()(Features(normal(20)), Features(torch.empty(0, 6), statistics=known))


@pytest.mark.parametrize(("arithmetic", "digits"), [("float32", 1e-12), ("float16", 0.03)])
def test_an_arithmetic_of_fewer_digits_moves_the_numbers_by_its_rounding_only(arithmetic: str, digits: float) -> None:
    fake, true = normal(300, seed=1), normal(300, seed=2)
    exact = said(fake, true)
    assert said(fake, true, Prdc(arithmetic=arithmetic)) == pytest.approx(exact, abs=digits)  # type: ignore[arg-type]


def test_half_precision_decides_ties_that_double_tells_apart_and_survives_what_overflows_it() -> None:
    fake, true = normal(200, seed=1, offset=30), normal(200, seed=2, offset=30)
    half, exact = said(fake, true, Prdc(arithmetic="float16")), said(fake, true)
    assert half != exact
    huge = said(1000 * normal(200, seed=1), 1000 * normal(200, seed=2), Prdc(arithmetic="float16"))
    plain = said(normal(200, seed=1), normal(200, seed=2))
    assert huge == pytest.approx(plain, abs=0.03)
