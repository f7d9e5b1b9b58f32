import math
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

from mgbench.components.maskings import Bernoulli, Exact, draw_positions, draw_times
from mgbench.toys import Line


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_truncated_times_are_uniform_above_the_bound() -> None:
    t = draw_times(20_000, 0.2, "truncate", seeded())
    assert stats.kstest(t.numpy(), "uniform", args=(0.2, 0.8)).pvalue > 1e-3


def test_clamped_times_pile_up_at_the_bound() -> None:
    t = draw_times(20_000, 0.2, "clamp", seeded())
    assert t.min().item() == pytest.approx(0.2)
    assert (t == t.min()).double().mean().item() == pytest.approx(0.2, abs=0.01)


def test_positions_are_as_many_as_asked_and_anywhere() -> None:
    counts = torch.arange(9).repeat(1000)
    mask = draw_positions(counts, 8, seeded())
    assert torch.equal(mask.sum(1), counts)
    assert (mask.double().mean(0) - 0.5).abs().max() < 0.03


ROUNDINGS = {"ceil": math.ceil, "round": round, "floor": math.floor}


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_exact_masks_the_rounded_share(rounding: Any) -> None:
    mask, t = Exact(rounding=rounding).draw(Line(), 500, 10, seeded())
    expected = [min(10, max(1, ROUNDINGS[rounding](10 * share))) for share in t.tolist()]
    assert mask.sum(1).tolist() == expected


def test_exact_masks_at_least_one_and_at_most_all() -> None:
    none, _ = Exact(rounding="floor").draw(lambda t: 0 * t, 20, 10, seeded())
    everything, _ = Exact(rounding="ceil").draw(lambda t: 0 * t + 1, 20, 10, seeded())
    assert (none.sum(1) == 1).all()
    assert everything.all()


def test_bernoulli_counts_are_binomial() -> None:
    def third(t: Tensor) -> Tensor:
        return 0 * t + 0.3

    mask, _ = Bernoulli().draw(third, 20_000, 8, seeded())
    seen = torch.bincount(mask.sum(1), minlength=9).double()
    expected = torch.tensor(stats.binom.pmf(range(9), 8, 0.3)) * 20_000
    expected[1] += expected[0]
    assert seen[0] == 0
    assert stats.chisquare(seen[1:].numpy(), expected[1:].numpy()).pvalue > 1e-3


def test_bernoulli_masks_tokens_independently() -> None:
    mask, _ = Bernoulli().draw(lambda t: 0 * t + 0.5, 20_000, 12, seeded())
    correlation = torch.corrcoef(mask.double().T) - torch.eye(12)
    assert correlation.abs().max() < 0.04


@pytest.mark.parametrize("masking", [Exact(t_min=0.5), Bernoulli(t_min=0.5)])
def test_a_bound_leaves_small_times_out(masking: Any) -> None:
    mask, t = masking.draw(Line(), 2000, 50, seeded())
    assert t.min() >= 0.5
    assert mask.double().mean().item() == pytest.approx(0.75, abs=0.02)
