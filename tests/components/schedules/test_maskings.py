import math
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

from mgbench import testing
from mgbench.components.schedules.mask_schedules import Exp
from mgbench.components.schedules.maskings import (
    Bernoulli,
    Beta,
    Draws,
    Exact,
    TruncNorm,
    draw_levels,
    draw_positions,
    truncated,
)
from mgbench.testing.toys import Line


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_truncated_times_are_uniform_above_the_bound() -> None:
    t = truncated(draw_levels(20_000, "independent", seeded()), 0.2, "truncate")
    assert stats.kstest(t.numpy(), "uniform", args=(0.2, 0.8)).pvalue > 1e-3


def test_clamped_times_pile_up_at_the_bound() -> None:
    t = truncated(draw_levels(20_000, "independent", seeded()), 0.2, "clamp")
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


MASKINGS: dict[str, Any] = {"exact": Exact, "bernoulli": Bernoulli, "truncnorm": TruncNorm, "beta": Beta}
DRAWS = pytest.mark.parametrize("draws", ["independent", "antithetic", "shared"])


@DRAWS
@pytest.mark.parametrize("masking", MASKINGS)
def test_every_masking_keeps_the_laws_however_a_batch_draws(masking: str, draws: Draws) -> None:
    testing.masking(MASKINGS[masking](draws=draws))


@DRAWS
def test_levels_are_uniform_however_a_batch_draws(draws: Draws) -> None:
    generator = seeded()
    third = torch.stack([draw_levels(5, draws, generator)[3] for _ in range(4000)])
    assert ((third >= 0) & (third < 1)).all()
    assert stats.kstest(third.numpy(), "uniform").pvalue > 1e-3


def test_antithetic_levels_lie_one_in_each_part() -> None:
    generator = seeded()
    for _ in range(50):
        levels = draw_levels(64, "antithetic", generator)
        torch.testing.assert_close(levels.sort().values.diff(), torch.full((63,), 1 / 64), atol=1e-6, rtol=0)


@pytest.mark.parametrize("masking", MASKINGS)
def test_a_shared_level_is_one_time_for_a_batch(masking: str) -> None:
    mask, t = MASKINGS[masking](draws="shared").draw(Line(), 40, 50, seeded())
    assert (t == t[0]).all()
    assert masking == "bernoulli" or (mask.sum(1) == mask[0].sum()).all()
    assert (mask != mask[0]).any()


def test_no_token_at_all_may_be_masked_where_that_is_asked_for() -> None:
    mask, _ = Bernoulli(at_least=0).draw(lambda t: 0 * t + 0.3, 20_000, 4, seeded())
    seen = torch.bincount(mask.sum(1), minlength=5).double()
    assert stats.chisquare(seen.numpy(), stats.binom.pmf(range(5), 4, 0.3) * 20_000).pvalue > 1e-3
    two, _ = Bernoulli(at_least=2).draw(lambda t: 0 * t, 100, 4, seeded())
    assert (two.sum(1) == 2).all()


MAGE = {"mean": 0.55, "std": 0.25, "low": 0.5, "high": 1.0}
SHARES: dict[str, tuple[Any, Any]] = {
    "MAR": (TruncNorm(), stats.truncnorm(-1.2, 0, 1, 0.25)),
    "MAGE": (TruncNorm(**MAGE), stats.truncnorm(-0.2, 1.8, 0.55, 0.25)),
    "AutoNAT": (Beta(), stats.beta(12, 3)),
}


@DRAWS
@pytest.mark.parametrize("paper", SHARES)
def test_shares_follow_their_law(paper: str, draws: Draws) -> None:
    """Where γ(t) = t the time is the share."""
    masking, law = SHARES[paper]
    generator = seeded()
    varied = type(masking)(**{**vars(masking), "draws": draws})
    t = torch.cat([varied.draw(Line(), 4, 8, generator)[1][:1] for _ in range(800)])
    assert stats.kstest(t.double().numpy(), law.cdf).pvalue > 1e-3


def test_shares_have_the_quantiles_of_the_papers() -> None:
    def shares(masking: Any) -> Tensor:
        return masking.draw(Line(), 5000, 1, seeded())[1].double()  # type: ignore[no-any-return]

    t = shares(TruncNorm(draws="antithetic"))
    low, middle, high = (float(t.quantile(share)) for share in (0.1, 0.5, 0.9))
    assert [t.mean().item(), low, middle, high] == pytest.approx([0.867, 0.745, 0.874, 0.976], abs=6e-4)
    assert shares(TruncNorm(**MAGE, draws="antithetic")).mean().item() == pytest.approx(0.694, abs=6e-4)
    assert shares(Beta(draws="antithetic")).mean().item() == pytest.approx(0.8, abs=6e-4)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("maker", [TruncNorm, Beta])
def test_a_share_is_rounded_to_whole_tokens(maker: Any, rounding: Any) -> None:
    mask, t = maker(rounding=rounding).draw(Line(), 500, 10, seeded())
    assert mask.sum(1).tolist() == [max(1, ROUNDINGS[rounding](10 * share)) for share in t.double().tolist()]


@pytest.mark.parametrize(
    ("options", "said"), [({"low": 0.9, "high": 0.8}, "must be below"), ({"mean": 50.0}, "lies too far from mean")]
)
def test_a_normal_law_that_cannot_be_drawn_from_is_refused(options: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TruncNorm(**options)


@pytest.mark.parametrize(("truncation", "mean", "least"), [("clamp", 0.855, 0.632), ("truncate", 0.910, 0.632)])
def test_the_shares_of_the_exponential_schedule_above_a_bound(truncation: Any, mean: float, least: float) -> None:
    masking = Exact(t_min=0.2, truncation=truncation, draws="antithetic", rounding="round")
    mask, _ = masking.draw(Exp(), 20_000, 200, seeded())
    shares = mask.double().mean(1)
    assert shares.mean().item() == pytest.approx(mean, abs=2e-3)
    assert shares.min().item() == pytest.approx(least, abs=5e-3)
    assert (shares == shares.min()).double().mean().item() == pytest.approx(
        0.2 if truncation == "clamp" else 0, abs=0.01
    )
