import itertools
import math

import pytest
import torch
from torch import Tensor

from mgbench.components.samplers.plans import counted, expected, inverse, lowest, planned
from tests.laws.registered import built, every


def test_lowest_picks_the_lowest_of_the_allowed() -> None:
    scores = torch.tensor([[0.3, 0.1, 0.2, 0.0], [9.0, 8.0, 7.0, 6.0]])
    allowed = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert lowest(scores, allowed, 2).tolist() == [[False, True, True, False], [True, True, False, False]]


def test_lowest_takes_one_count_for_each_row() -> None:
    scores = torch.arange(4.0).expand(3, 4)
    chosen = lowest(scores, torch.ones(3, 4, dtype=torch.bool), torch.tensor([0, 2, 4]))
    assert chosen.sum(1).tolist() == [0, 2, 4]
    assert chosen[1].tolist() == [True, True, False, False]


def test_lowest_never_picks_what_is_not_allowed() -> None:
    allowed = torch.tensor([[False, True, False]])
    assert lowest(torch.zeros(1, 3), allowed, 3).tolist() == allowed.tolist()
    assert not lowest(torch.zeros(1, 3), torch.zeros(1, 3, dtype=torch.bool), 3).any()


def test_lowest_takes_the_first_of_equals() -> None:
    assert lowest(torch.zeros(1, 5), torch.ones(1, 5, dtype=torch.bool), 2).tolist() == [
        [True, True, False, False, False]
    ]


def test_an_infinite_score_can_be_the_lowest_or_the_highest() -> None:
    scores = torch.tensor([[0.0, math.inf, -math.inf]])
    everywhere = torch.ones(1, 3, dtype=torch.bool)
    assert lowest(scores, everywhere, 1).tolist() == [[False, False, True]]
    assert lowest(-scores, everywhere, 1).tolist() == [[False, True, False]]


def cosine(t: Tensor) -> Tensor:
    return torch.sin(math.pi / 2 * t)


def evenly(steps: int) -> Tensor:
    return torch.linspace(1, 0, steps + 1, dtype=torch.float64)


def line(t: Tensor) -> Tensor:
    return t


@pytest.mark.parametrize(("tokens", "steps"), [*itertools.product([1, 2, 7, 16, 256], [1, 2, 5, 16, 64, 300])])
def test_a_plan_reveals_every_token_once(tokens: int, steps: int) -> None:
    for schedule in (line, cosine):
        plan = list(planned(schedule, tokens, evenly(steps)))
        reveals = [step.reveal or 0 for step in plan]
        assert sum(reveals) == tokens
        assert min(reveals) >= 1
        assert plan[-1].share_then == 0
        assert plan[-1].s == 0


@pytest.mark.parametrize("steps", range(1, 101))
def test_as_many_steps_as_tokens_reveal_one_each(steps: int) -> None:
    # N·(1 − k/T) is a whole number here, which floating point must not round down.
    assert [step.reveal for step in planned(line, steps, evenly(steps))] == [1] * steps


@pytest.mark.parametrize("steps", [3, 6, 12, 24, 48, 96])
def test_half_stays_masked_where_the_cosine_is_a_half(steps: int) -> None:
    step = next(step for step in planned(cosine, 256, evenly(steps)) if step.index + 1 == steps * 2 // 3)
    assert step.share_then == 0.5


def test_more_steps_than_tokens_leave_steps_out() -> None:
    plan = list(planned(line, 4, evenly(10)))
    assert len(plan) == 4
    assert all(step.total == 10 for step in plan)


def test_counts_become_steps_that_reveal_their_difference() -> None:
    first, second = counted(8, evenly(3), [8, 8, 5, 0])
    assert (first.index, first.share_now, first.share_then, first.reveal) == (1, 1, 5 / 8, 3)
    assert (second.index, second.total, second.share_then, second.reveal) == (2, 3, 0, 5)


def test_expected_shares_start_at_all_and_end_at_none_whatever_the_schedule() -> None:
    plan = list(expected(lambda t: 0.1 + 0.8 * t, evenly(4)))
    assert [step.share_now for step in plan] == pytest.approx([1, 0.7, 0.5, 0.3])
    assert [step.share_then for step in plan] == pytest.approx([0.7, 0.5, 0.3, 0])
    assert all(step.reveal is None for step in plan)


@every("mask_schedule")
def test_the_time_of_a_share_is_where_the_schedule_has_it(name: str) -> None:
    schedule = built("mask_schedule", name)
    ends = schedule(torch.tensor([0.0, 1.0], dtype=torch.float64))
    shares = torch.linspace(0, 1, 1001, dtype=torch.float64)
    t = inverse(schedule, shares)
    assert ((t >= 0) & (t <= 1)).all()
    torch.testing.assert_close(schedule(t), shares.clamp(*ends.tolist()), atol=1e-6, rtol=0)


def test_a_share_that_the_schedule_never_reaches_has_the_last_time() -> None:
    t = inverse(lambda t: 0.1 + 0.8 * t, torch.tensor([0.05, 0.5, 0.95], dtype=torch.float64))
    torch.testing.assert_close(t, torch.tensor([0, 0.5, 1], dtype=torch.float64))
