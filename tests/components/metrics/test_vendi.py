import math

import pytest
import torch
from scipy.stats import entropy
from torch import Tensor

from mgbench.components.metrics.vendi import Vendi
from mgbench.errors import Unfit
from mgbench.interfaces.data import Features


def vendi(features: Tensor) -> float:
    return Vendi()(Features(features), Features(features))["vendi"]


def normal(count: int, dim: int, seed: int = 0) -> Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("kinds", "times"), [(1, 8), (3, 5), (6, 1), (6, 30)])
def test_kinds_that_share_nothing_are_counted_however_often_they_come(kinds: int, times: int) -> None:
    features = torch.eye(8, dtype=torch.float64)[:kinds].repeat(times, 1) * 3
    if len(features) > 1:
        assert vendi(features) == pytest.approx(kinds)


def test_unequal_shares_count_by_their_entropy() -> None:
    features = torch.eye(3, dtype=torch.float64)[[0] * 70 + [1] * 20 + [2] * 10]
    assert vendi(features) == pytest.approx(math.exp(entropy([0.7, 0.2, 0.1])))


def test_two_directions_are_as_different_as_their_angle() -> None:
    """The eigenvalues of [[1, c], [c, 1]]/2 are (1 ± c)/2."""
    features = torch.tensor([[1.0, 0.0], [math.cos(1.0), math.sin(1.0)]], dtype=torch.float64)
    assert vendi(features) == pytest.approx(math.exp(entropy([(1 + math.cos(1)) / 2, (1 - math.cos(1)) / 2])))


@pytest.mark.parametrize(("count", "dim"), [(30, 70), (70, 30), (40, 40)])
def test_the_small_matrix_and_the_large_one_agree(count: int, dim: int) -> None:
    features = normal(count, dim)
    unit = features / features.norm(dim=1, keepdim=True)
    values = torch.linalg.eigvalsh(unit @ unit.T / count).clamp(min=0).numpy()
    assert vendi(features) == pytest.approx(math.exp(entropy(values)))


def test_a_model_that_collapses_has_less_of_it() -> None:
    features = normal(200, 16)
    assert vendi(features[:20].repeat(10, 1)) < vendi(features)


def test_one_image_is_refused() -> None:
    with pytest.raises(Unfit, match="at least 2 images"):
        vendi(normal(1, 4))
