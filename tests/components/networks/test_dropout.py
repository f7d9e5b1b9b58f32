"""Dropout draws from the right distribution, by the global generator, and is that of PyTorch where it must be."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mgbench.components.networks.dropout import Dropout, dropout

COUNT = 200_003  # no multiple of the numbers that are drawn at once


def dropped(p: float, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return dropout(torch.ones(COUNT), p)


@pytest.mark.parametrize("p", [1e-5, 0.1, 0.5, 0.9])
def test_a_share_p_is_dropped_and_the_mean_is_kept(p: float) -> None:
    kept = dropped(p)
    assert set(kept.unique().tolist()) <= {0.0, kept.max().item()}
    assert kept.max().item() == pytest.approx(1 / (1 - p), rel=1e-4)
    assert (kept == 0).double().mean().item() == pytest.approx(p, abs=5 * (p * (1 - p) / COUNT) ** 0.5 + 2**-17)


def test_elements_are_dropped_independently() -> None:
    """No correlation at any distance up to 64, and none of neighbours of a number of 64 bits in particular."""
    zeros = (dropped(0.3) == 0).double() - 0.3
    for distance in range(1, 65):
        product = zeros[:-distance] * zeros[distance:]
        assert product.mean().abs() < 5 * 0.21 / COUNT**0.5, distance
    by_lane = zeros[: COUNT - COUNT % 4].reshape(-1, 4)
    assert (by_lane.mean(0).abs() < 5 * (0.21 * 4 / COUNT) ** 0.5).all()


def test_a_seed_gives_the_same_and_another_one_does_not() -> None:
    assert torch.equal(dropped(0.1, 1), dropped(0.1, 1))
    assert not torch.equal(dropped(0.1, 1), dropped(0.1, 2))
    torch.manual_seed(1)
    assert not torch.equal(*(dropout(torch.ones(COUNT), 0.1) for _ in range(2)))


def test_gradients_are_those_of_the_elements_that_are_kept() -> None:
    x = torch.randn(33, 5, 3, requires_grad=True)
    out = dropout(x, 0.4)
    (slope,) = torch.autograd.grad(out.sum(), x)
    torch.testing.assert_close(slope * x, out)
    assert slope.unique().numel() == 2


def test_a_module_drops_only_while_it_trains() -> None:
    x = torch.ones(COUNT, dtype=torch.bfloat16)
    module = Dropout(0.2)
    assert module(x).dtype == torch.bfloat16
    assert (module(x) == 0).any()
    assert module.eval()(x) is x


@pytest.mark.parametrize("p", [0.0, 1e-9, 1 - 1e-9, 1.0])
def test_extremes_are_those_of_pytorch(p: float) -> None:
    x = torch.randn(1000)
    assert torch.equal(dropout(x, p), functional.dropout(x, p))
    assert dropout(torch.empty(0, 3), 0.5).shape == (0, 3)
