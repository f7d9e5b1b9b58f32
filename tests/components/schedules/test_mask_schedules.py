import math
from typing import Any

import pytest
import torch
from torch import Tensor

from mgbench.components.samplers.plans import counted, expected, planned
from mgbench.components.schedules.loss_weightings import Elbo, log_slope
from mgbench.components.schedules.mask_schedules import (
    Arccos,
    Cosine,
    CosineSq,
    Exp,
    Geometric,
    Linear,
    Log,
    LogExp,
    OneMinusCos,
    PowR,
    PowT,
    Sigmoid,
    Table,
)
from mgbench.components.schedules.time_grids import Cosine as CosineGrid
from mgbench.components.schedules.time_grids import Uniform
from mgbench.errors import UserError
from mgbench.interfaces.components import MaskSchedule
from mgbench.recipes.spec import Spec
from tests.laws.registered import built, every, registry

AT = torch.tensor([0.1, 0.25, 0.5, 0.75, 0.9], dtype=torch.float64)
# γ at these times; its mean over all times; γ′/γ at 0.5.
GOLDEN: list[tuple[Any, list[float], float | None, float | None]] = [
    (Linear(), [0.1, 0.25, 0.5, 0.75, 0.9], 0.5, 2),
    (Cosine(), [0.1564, 0.3827, 0.7071, 0.9239, 0.9877], 0.6366, 1.5708),
    (OneMinusCos(), [0.0123, 0.0761, 0.2929, 0.6173, 0.8436], 0.3634, 3.7922),
    (CosineSq(), [0.0245, 0.1464, 0.5, 0.8536, 0.9755], 0.5, 3.1416),
    (Arccos(), [0.2871, 0.4601, 0.6667, 0.8391, 0.9362], 0.6366, 1.1027),
    (PowT(0.5), [0.3162, 0.5, 0.7071, 0.8660, 0.9487], 0.6667, 1),
    (PowR(2), [0.19, 0.4375, 0.75, 0.9375, 0.99], 0.6667, 1.3333),
    (PowR(3), [0.271, 0.5781, 0.875, 0.9844, 0.999], 0.75, None),
    (PowR(0.5), [0.0513, 0.134, 0.2929, 0.5, 0.6838], 0.3333, None),
    (Exp(5), [0.3935, 0.7135, 0.9179, 0.9765, 0.9889], 0.8013, 0.4471),
    (LogExp(5), [0.5513, 0.7267, 0.8627, 0.9429, 0.9791], 0.8068, 0.4574),
    (Log(256), [0.019, 0.0519, 0.125, 0.25, 0.4152], 0.1796, None),
]


@pytest.mark.parametrize(("schedule", "values", "mean", "weight"), GOLDEN, ids=lambda value: repr(value)[:24])
def test_the_values_of_the_catalogue(schedule: Any, values: list[float], mean: float, weight: float | None) -> None:
    torch.testing.assert_close(schedule(AT), torch.tensor(values, dtype=torch.float64), atol=6e-5, rtol=0)
    middles = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    assert schedule(middles).mean().item() == pytest.approx(mean, abs=6e-5)
    if weight is not None:
        assert log_slope(schedule, AT, 1e-3)[2].item() == pytest.approx(weight, abs=6e-5)


def test_sigmoid_is_the_logistic_curve_turned_round() -> None:
    def sigma(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    t, a, b, tau = 0.3, -2.0, 3.0, 0.7
    written = (sigma(b / tau) - sigma(((1 - t) * (b - a) + a) / tau)) / (sigma(b / tau) - sigma(a / tau))
    assert Sigmoid(a, b, tau)(torch.tensor(t, dtype=torch.float64)).item() == pytest.approx(written)
    assert Sigmoid()(AT)[2].item() == pytest.approx(0.5)


def test_geometric_noise_is_a_geometric_mean_halfway() -> None:
    total = -torch.log1p(-Geometric(1e-4, 20)(AT))
    assert total[2].item() == pytest.approx(math.sqrt(1e-4 * 20))


def test_the_exp_of_maskgit_is_this_one_with_the_logarithm_of_the_number_of_tokens() -> None:
    torch.testing.assert_close(Exp(math.log(256))(AT), 1 - 256**-AT)
    assert Exp()(torch.tensor(1.0)).item() == pytest.approx(0.9933, abs=5e-5)


AUTONAT = (0.953, 0.88, 0.794, 0.746, 0.625, 0.407, 0.261, 0.0)


def test_a_table_has_its_shares_after_each_step() -> None:
    times = Uniform()(8)
    torch.testing.assert_close(Table(AUTONAT)(times), torch.tensor((1.0, *AUTONAT), dtype=torch.float64))
    between = Table((0.5, 0.0))(torch.tensor([0.125, 0.25, 0.75]))
    torch.testing.assert_close(between, torch.tensor([0.125, 0.25, 0.75]))
    steps = planned(Table(AUTONAT), 256, times)
    assert [round(step.share_then * 256) for step in steps] == [int(256 * share) for share in AUTONAT]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Table((0.5, 0.6, 0.0)), r"must not rise: \[0.5, 0.6, 0.0\]"),
        (lambda: Table((0.5,)), "must end with 0"),
        (lambda: Table(()), "must end with 0"),
        (lambda: Sigmoid(1, 1), "a .* must be below b"),
        (lambda: Geometric(2, 1), "low .* must be below high"),
        (lambda: Log(1), "n .* must be above 1"),
    ],
)
def test_options_that_give_no_schedule_are_refused(make: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


@every("mask_schedule")
def test_the_weight_of_the_bound_is_finite_to_both_ends(name: str) -> None:
    t = torch.cat([torch.zeros(1), torch.logspace(-9, 0, 200), 1 - torch.logspace(-7, -1, 50)])
    weights = Elbo()(built("mask_schedule", name), t, torch.ones(len(t), 2, dtype=torch.bool))
    assert weights.isfinite().all()
    assert (weights >= 0).all()


@pytest.mark.parametrize("schedule", [PowR(0.5), PowT(0.5), Arccos(), Log()], ids=repr)
def test_an_infinite_slope_still_gives_a_finite_weight(schedule: MaskSchedule) -> None:
    weights = log_slope(schedule, torch.tensor([0.0, 1.0]), 1e-3)
    assert weights.isfinite().all()


@pytest.mark.parametrize("tokens", [16, 256, 1024])
@pytest.mark.parametrize("steps", [1, 2, 7, 16, 64])
def test_a_line_on_the_cosine_grid_is_the_cosine_on_the_even_one(tokens: int, steps: int) -> None:
    """MD4 (arXiv:2406.04329) samples a linear schedule so; the reveals of every way to plan are the same."""
    ways: dict[str, tuple[MaskSchedule, Tensor]] = {
        "line": (Linear(), CosineGrid()(steps)),
        "cosine": (Cosine(), Uniform()(steps)),
    }

    def shares(way: str) -> list[list[tuple[float, float]]]:
        schedule, times = ways[way]
        masked = [tokens, *[int(tokens * share + 1e-9) for share in schedule(times)[1:-1].tolist()], 0]
        plans = (planned(schedule, tokens, times), expected(schedule, times), counted(tokens, times, masked))
        return [[(round(step.share_now, 9), round(step.share_then, 9)) for step in plan] for plan in plans]

    assert shares("line") == shares("cosine")


@pytest.mark.parametrize(
    ("alias", "meant"),
    [
        ("loglinear", "'linear'"),
        ("cosinesqr", "'cosine_sq'"),
        ("poly", "'pow_t'"),
        ("polynomial", "'pow_t' or 'pow_r'"),
    ],
)
def test_the_name_that_papers_use_leads_to_ours(alias: str, meant: str) -> None:
    with pytest.raises(UserError, match=f"no mask schedule is called '{alias}'; papers mean {meant} by it"):
        registry().build("mask_schedule", Spec.parse(alias))


def test_a_paper_s_name_is_never_the_name_of_another_schedule() -> None:
    offers = registry().names("mask_schedule")
    also = {alias for offer in offers.values() for alias in getattr(offer.maker, "known_as", ())}
    assert also
    assert not also & set(offers)
