import math
from collections.abc import Callable
from typing import Any

import diffusers.schedulers.scheduling_ddpm as theirs
import pytest
import torch
from torch import Tensor

from mgbench.components.noise import STEPS, Table, cosine_betas, respaced
from mgbench.components.solvers import DDIM, DDPM, DPMSolver
from mgbench.streams import Streams

BETAS = cosine_betas()
KEPT = Table(BETAS).kept
DRAWS = Streams.root(0, "rows").fold(torch.arange(64))
Denoise = Callable[[Tensor, float], tuple[Tensor, Tensor]]


def curved(x: Tensor, time: float) -> tuple[Tensor, Tensor]:
    """Some prediction that depends on x and the time, and on no random numbers."""
    return torch.tanh(x) * (0.3 + time / STEPS), torch.cos(3 * x) * 0.8


MEAN, DEVIATION = 0.7, 0.5


def kept_at(time: float) -> float:
    low = int(time)
    high, share = min(low + 1, STEPS - 1), time - low
    return float((KEPT[low].log() * (1 - share) + KEPT[high].log() * share).exp())


def exact(x: Tensor, time: float) -> tuple[Tensor, Tensor]:
    """The noise in x_t when x_0 is N(MEAN, DEVIATION²)."""
    kept = kept_at(time)
    eps = math.sqrt(1 - kept) * (x - math.sqrt(kept) * MEAN) / (kept * DEVIATION**2 + 1 - kept)
    return eps, torch.zeros_like(x)


@pytest.mark.parametrize("steps", [5, 100])
def test_ddpm_is_that_of_diffusers_given_the_same_noise(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    times, table = respaced(BETAS, steps)
    scheduler = theirs.DDPMScheduler(
        steps, trained_betas=table.betas.numpy(), variance_type="learned_range", clip_sample=False
    )
    scheduler.set_timesteps(steps)
    # In float64: theirs computes its tables in float32, and 1 − ᾱ of the first times would lose three digits.
    scheduler.betas = table.betas
    scheduler.alphas = 1 - table.betas
    scheduler.alphas_cumprod = table.kept
    scheduler.one = torch.ones((), dtype=torch.float64)
    number = 0

    def recorded(shape: Any, **_: Any) -> Tensor:
        return DRAWS.fold(number).normal(3)

    monkeypatch.setattr(theirs, "randn_tensor", recorded)
    x = DRAWS.fold(0).normal(3).float().double()
    for number, index in enumerate(reversed(range(steps)), start=1):  # noqa: B007 - read by `recorded`
        output = torch.cat(curved(x, times[index]), 1)
        x = scheduler.step(output, index, x).prev_sample
    ours = DDPM(steps=steps, trim=False).solve(curved, BETAS, 3, DRAWS)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours.double(), x, rtol=2e-4, atol=2e-4 * float(x.abs().max()))


def test_ddpm_asks_at_the_times_it_keeps() -> None:
    asked: list[float] = []

    def noting(x: Tensor, time: float) -> tuple[Tensor, Tensor]:
        asked.append(time)
        return curved(x, time)

    DDPM(steps=10, trim=False).solve(noting, BETAS, 2, DRAWS)
    assert asked == [float(time) for time in reversed(respaced(BETAS, 10)[0])]
    assert asked[0] == 999
    asked.clear()
    DDPM(steps=10).solve(noting, BETAS, 2, DRAWS)
    assert asked[0] == 995


def test_temperature_multiplies_the_noise() -> None:
    cold = DDPM(steps=50, temperature=0.0).solve(exact, BETAS, 1, DRAWS)
    warm = DDPM(steps=50).solve(exact, BETAS, 1, DRAWS)
    hot = DDPM(steps=50, temperature=1.2).solve(exact, BETAS, 1, DRAWS)
    assert cold.std() < warm.std() < hot.std()
    assert cold.std() < 0.1


def end_of_the_flow(x: Tensor, time: float) -> Tensor:
    """Where the probability flow of the exact prediction leads from x at a time: it keeps the standard score."""
    kept = kept_at(time)
    return MEAN + DEVIATION * (x - math.sqrt(kept) * MEAN) / math.sqrt(kept * DEVIATION**2 + 1 - kept)


def away(solver: Any) -> float:
    """The root mean square distance from the exact end."""
    first: list[float] = []

    def noting(x: Tensor, time: float) -> tuple[Tensor, Tensor]:
        first.append(time)
        return exact(x, time)

    values = solver.solve(noting, BETAS, 2, DRAWS)
    start = DRAWS.fold(0).normal(2).float()
    return float((values - end_of_the_flow(start, first[0])).square().mean().sqrt())


@pytest.mark.parametrize("order", [1, 2, 3])
def test_dpmpp_converges_to_the_exact_flow(order: Any) -> None:
    distances = [away(DPMSolver(steps=steps, order=order)) for steps in (10, 20, 40, 80)]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.02
    assert distances[-1] < distances[0] / 4


def test_a_higher_order_is_nearer_with_the_same_steps() -> None:
    assert away(DPMSolver(steps=12, order=2)) < away(DPMSolver(steps=12, order=1))


def test_ddim_converges_to_the_exact_flow() -> None:
    distances = [away(DDIM(steps=steps)) for steps in (5, 20, 80)]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.03


def test_ddim_draws_noise_only_when_it_is_ancestral() -> None:
    class First(Streams):
        """Streams that can be folded by 0 alone."""

        def fold(self, number: int | Tensor) -> Streams:
            assert number == 0
            return super().fold(number)

    DDIM(steps=5).solve(exact, BETAS, 2, First(DRAWS.keys))
    with pytest.raises(AssertionError):
        DDIM(steps=5, eta=1.0).solve(exact, BETAS, 2, First(DRAWS.keys))


@pytest.mark.parametrize("solver", [DDPM(steps=7), DDIM(steps=7), DPMSolver(steps=7)])
def test_as_many_evaluations_as_steps(solver: Any) -> None:
    asked: list[float] = []

    def noting(x: Tensor, time: float) -> tuple[Tensor, Tensor]:
        asked.append(time)
        return exact(x, time)

    solver.solve(noting, BETAS, 2, DRAWS)
    assert len(asked) == 7
    assert asked == sorted(asked, reverse=True)
