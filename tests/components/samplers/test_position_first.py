import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from mgbench.components.samplers.position_first import Ancestral, FirstHitting, Planned, RandomOrder
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import SamplerInput, Step

SPACE = TokenSpace(16, 1, codes=3)
IMAGES = Streams.root(0, "images").fold(torch.arange(4000))


def evenly(steps: int) -> Tensor:
    return torch.linspace(1, 0, steps + 1, dtype=torch.float64)


def line(t: Tensor) -> Tensor:
    return t


def exponential(t: Tensor) -> Tensor:
    return -torch.expm1(-5 * t)


def cosine(t: Tensor) -> Tensor:
    return torch.sin(math.pi / 2 * t)


def plan(sampler: object, steps: int, schedule: object = line, tokens: int = 16, seed: int = 0) -> list[Step]:
    shared = Streams.root(seed, "shared")
    return list(sampler.plan(schedule, TokenSpace(tokens, 1), evenly(steps), shared))  # type: ignore[attr-defined]


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 16, 50])
def test_planned_keeps_the_rounded_share_and_leaves_out_steps_that_change_nothing(steps: int) -> None:
    for schedule in (line, cosine):
        counts = [round(16 * float(schedule(t)) + 1e-9) for t in evenly(steps)[1:-1]]
        masked = [16, *counts, 0]
        wanted = [masked[k] - masked[k + 1] for k in range(steps) if masked[k] > masked[k + 1]]
        made = plan(Planned(), steps, schedule)
        assert [step.reveal for step in made] == wanted
        assert sum(wanted) == 16


def test_planned_differs_from_random_order_where_the_schedule_is_flat() -> None:
    forced, first = plan(RandomOrder(), 8, cosine)[0], plan(Planned(), 8, cosine)[0]
    assert (forced.index, forced.reveal) == (0, 1)
    assert (first.index, first.reveal) == (1, 1)


def test_ancestral_reveals_each_token_with_the_probability_of_the_posterior() -> None:
    step = plan(Ancestral(), 4, exponential)[2]
    gamma = 1 - math.exp(-5 * 0.5), 1 - math.exp(-5 * 0.25)
    mask = torch.rand(4000, 16, generator=torch.Generator().manual_seed(0)) < 0.6
    then = Ancestral().choose(SamplerInput(SPACE, mask), step, IMAGES)
    assert not (then & ~mask).any()
    share = float((~then)[mask].double().mean())
    assert share == pytest.approx(1 - gamma[1] / gamma[0], abs=4 * 0.5 / math.sqrt(int(mask.sum())))
    counts = (mask & ~then).sum(1)[mask.sum(1) == 10]
    assert len(counts.unique()) > 3


def test_ancestral_reveals_all_at_once_where_the_schedule_ends_early() -> None:
    made = plan(Ancestral(), 4, lambda t: (2 * t - 1).clamp_min(0))
    assert [step.share_then for step in made] == [0.5, 0, 0, 0]
    nothing = torch.zeros(2, 16, dtype=torch.bool)
    for step in made[1:]:
        assert not Ancestral().choose(SamplerInput(SPACE, ~nothing), step, IMAGES[:2]).any()
        assert not Ancestral().choose(SamplerInput(SPACE, nothing), step, IMAGES[:2]).any()


def test_some_steps_of_ancestral_reveal_nothing() -> None:
    first = plan(Ancestral(), 64)[0]
    mask = torch.ones(4000, 16, dtype=torch.bool)
    revealed = (~Ancestral().choose(SamplerInput(SPACE, mask), first, IMAGES)).sum(1)
    assert float((revealed == 0).double().mean()) == pytest.approx((1 - 1 / 64) ** 16, abs=0.03)


def test_first_hitting_times_are_the_order_of_uniform_numbers() -> None:
    """In ancestral sampling with γ = t every token has a uniform time; the k-th largest of N is Beta(N + 1 − k, k)."""
    times = torch.tensor([[step.s for step in plan(FirstHitting(), 5, line, 5, seed)] for seed in range(400)])
    for place in range(5):
        assert stats.kstest(times[:, place].numpy(), stats.beta(5 - place, place + 1).cdf).pvalue > 1e-3


def test_first_hitting_follows_the_schedule_from_its_own_beginning() -> None:
    """γ(t)/γ(1) of the first time is the largest of N uniform numbers, whatever the schedule."""
    first = torch.tensor([plan(FirstHitting(), 4, exponential, 4, seed)[0].s for seed in range(400)])
    share = exponential(first.double()) / exponential(torch.ones((), dtype=torch.float64))
    assert stats.kstest(share.numpy(), stats.beta(4, 1).cdf).pvalue > 1e-3


@pytest.mark.parametrize(("steps", "counts"), [(1, [5]), (2, [2, 3]), (3, [1, 2, 2]), (5, [1] * 5), (9, [1] * 5)])
def test_first_hitting_in_fewer_steps_reveals_nearly_equal_groups_at_the_time_of_their_last(
    steps: int, counts: list[int]
) -> None:
    fine, made = plan(FirstHitting(), 5, line, 5), plan(FirstHitting(), steps, line, 5)
    assert [step.reveal for step in made] == counts
    upto = torch.tensor(counts).cumsum(0).tolist()
    assert [step.s for step in made] == [fine[count - 1].s for count in upto]
    assert made[0].t == 1
    assert all(step.total == len(counts) for step in made)


def stairs(t: Tensor) -> Tensor:
    return (t * 3).ceil() / 3


def high(t: Tensor) -> Tensor:
    return 0.5 + 0.5 * t


@pytest.mark.parametrize("schedule", [stairs, high])
def test_times_fall_even_where_the_schedule_stands_still_or_ends_above_nothing(schedule: object) -> None:
    made = plan(FirstHitting(), 16, schedule)
    assert all(0 < step.s < step.t for step in made)
    assert sum(step.reveal or 0 for step in made) == 16
