import math
from typing import Any

import pytest
import torch
from mgbench_plugins.emigm import (
    EMIGM,
    AncestralShared,
    DPMSolver3S,
    NoiseCurve,
    Shared,
    Update,
    mgbench_recipes,
    orders,
)
from torch import Tensor

from mgbench.components.schedules.mask_schedules import Exp
from mgbench.components.schedules.time_grids import Uniform
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import SamplerInput, Step
from mgbench.registry.resolve import assemble
from mgbench.testing.noisy_toys import Gaussian
from tests.laws.registered import registry

GENERATOR = torch.Generator().manual_seed(0)


def rng(masking: Shared, rounds: int, tokens: int = 16, batch: int = 3) -> tuple[Tensor, Tensor]:
    drawn = [masking.draw(Exp(), batch, tokens, GENERATOR) for _ in range(rounds)]
    return torch.stack([mask for mask, _ in drawn]), torch.stack([t for _, t in drawn])


def test_a_batch_shares_its_time_and_its_count_but_not_its_positions() -> None:
    masks, t = rng(Shared(), 200)
    assert (t == t[:, :1]).all()
    counts = masks.sum(2)
    assert (counts == counts[:, :1]).all()
    assert counts.min() >= 2
    partly = counts[:, 0] < 16
    assert (masks[partly, 0] != masks[partly, 1]).any(1).double().mean() > 0.5


def test_small_times_are_clamped_as_in_the_code_or_left_out_as_in_the_paper() -> None:
    least = 0.2 * 0.999 + 0.001
    _, clamped = rng(Shared(), 2000, batch=1)
    _, truncated = rng(Shared(truncation="truncate"), 2000, batch=1)
    assert clamped.min().item() == pytest.approx(least)
    assert (clamped < least + 1e-6).double().mean().item() == pytest.approx(0.2, abs=0.03)
    assert truncated.min() > least
    assert (truncated < least + 1e-3).double().mean() < 0.01


def test_at_least_two_are_masked_unless_there_is_one() -> None:
    masks, _ = rng(Shared(t_min=0.0), 300, tokens=4)
    assert masks.sum(2).min() == 2
    alone, _ = rng(Shared(t_min=0.0), 5, tokens=1)
    assert alone.all()


def plan(seed: int, steps: int, tokens: int = 256) -> list[Step]:
    times = Uniform(end=1e-5)(steps)
    return list(AncestralShared().plan(Exp(), TokenSpace(tokens, 1), times, Streams.root(seed, "shared")))


def test_counts_are_binomial_about_the_expected_ones() -> None:
    """The expected counts of the exponential schedule, N·(γ(t) − γ(s))/γ(1), over 300 runs."""
    expected = [1.5, 2.8, 5.3, 9.8, 18.4, 34.3, 64.1, 119.8]
    counts = torch.tensor([[step.reveal or 0 for step in plan(seed, 8)] for seed in range(300)], dtype=torch.float64)
    mean, error = counts.mean(0), counts.std(0) / math.sqrt(300)
    # A step that would reveal nothing reveals one token, which lifts the first by P(none) = e^-1.5 and lowers the last.
    lifted = torch.tensor(expected) + torch.tensor([math.exp(-1.5), math.exp(-2.8), 0, 0, 0, 0, 0, -0.3])
    assert ((mean - lifted).abs() < 5 * error + 0.1).all(), mean
    assert (counts.std(0)[3:7] > 1).all()


def test_every_step_reveals_and_the_last_one_all_that_is_left() -> None:
    for seed in range(20):
        counts = [step.reveal or 0 for step in plan(seed, 64)]
        assert min(counts) >= 1
        assert sum(counts) == 256


def test_a_plan_ends_early_when_nothing_is_left() -> None:
    steps = plan(0, 64, tokens=4)
    assert len(steps) <= 4
    assert steps[-1].share_then == 0


def test_counts_are_drawn_for_the_run_and_not_for_the_batch() -> None:
    step = plan(3, 8)[2]
    mask = torch.ones(5, 256, dtype=torch.bool)
    images = Streams.root(3, "images").fold(torch.arange(5))
    then = AncestralShared().choose(SamplerInput(TokenSpace(256, 1), mask), step, images)
    assert ((mask & ~then).sum(1) == step.reveal).all()
    assert not torch.equal(then[0], then[1])


@pytest.mark.parametrize("count", range(1, 16))
def test_updates_of_order_3_and_lower_ones_in_the_end_use_every_evaluation(count: int) -> None:
    assert sum(orders(count)) == count
    assert all(order == 3 for order in orders(count)[:-2])
    assert len(orders(count)) == count // 3 + 1


def off_after_one_update(order: int, parts: int) -> float:
    """How far one update leads off the exact flow of a Gaussian, which keeps the standard score, from the middle of the way."""
    toy = Gaussian()
    curve = NoiseCurve.of(toy.betas, torch.float64)
    middle = curve.grid(1.0, curve.first, 2)[1].item()
    times = curve.grid(middle, curve.grid(middle, curve.first, parts)[1].item(), order)
    alpha, sigma, _ = curve.at(times[[0, -1]])
    score = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    start, exact = (
        alpha[end] * toy.mean + score * (alpha[end] ** 2 * toy.deviation**2 + sigma[end] ** 2).sqrt() for end in (0, 1)
    )

    def noise(x: Tensor, time: float) -> Tensor:
        return toy.denoise(x, time)[0]

    return float((Update.along(curve, times)(noise, start) - exact).abs().max())


@pytest.mark.parametrize("order", [1, 2, 3])
def test_an_update_of_each_order(order: int) -> None:
    """Half the step leaves 1/2^(order + 1) of what one update misses."""
    coarse, fine = (off_after_one_update(order, parts) for parts in (10, 20))
    assert coarse < 0.06
    assert math.log2(coarse / fine) == pytest.approx(order + 1, abs=0.35)


def test_more_evaluations_lead_nearer_to_the_exact_end() -> None:
    toy, rng = Gaussian(), Streams.root(0, "rows").fold(torch.arange(64))
    ends = [DPMSolver3S(steps).solve(toy.denoise, toy.betas, 2, rng) for steps in (5, 8, 14, 200)]
    away = [(end - ends[-1]).abs().max().item() for end in ends[:-1]]
    assert away == sorted(away, reverse=True)
    assert away[-1] < 0.02


@pytest.mark.parametrize("name", sorted(mgbench_recipes()))
def test_its_recipes_can_be_put_together(name: str) -> None:
    assembly = assemble(registry(), registry().recipes["emigm"][name])
    assert assembly.unfit == ""
    assert type(assembly.parts.mask_schedule).__name__ == "Exp"
    assert assembly.parts.sampling_schedule == assembly.parts.mask_schedule


def test_its_recipes_share_what_they_can() -> None:
    keys: Any = {name: assemble(registry(), recipe).keys for name, recipe in mgbench_recipes().items()}
    assert keys["emigm"].training == keys["emigm-unguided"].training
    assert keys["emigm"].run != keys["emigm-unguided"].run
    assert keys["emigm"].training != keys["emigm-unlabelled"].training
    assert keys["emigm"].tokenizer == keys["emigm-unlabelled"].tokenizer


def test_guidance_without_labels_is_skipped_with_a_reason() -> None:
    assert "labels=False" in assemble(registry(), EMIGM.change(labels=False)).unfit
