import math
from typing import Any

import diffusers
import diffusers.schedulers.scheduling_ddpm as theirs
import pytest
import torch
from torch import Tensor

from mgbench.components.heads.noise_schedule import STEPS, Table, cosine_betas, respaced
from mgbench.components.heads.solvers import DDIM, DDPM, DPMSolver, DPMSolverSinglestep, Euler, Heun, UniPC, check_path
from mgbench.errors import Unfit
from mgbench.interfaces.components import Parts, Predict
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.testing.noisy_toys import Gaussian

BETAS = cosine_betas()
KEPT = Table(BETAS).alpha_bar
DRAWS = Streams.root(0, "rows").fold(torch.arange(64))


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
    alpha_bar = kept_at(time)
    eps = math.sqrt(1 - alpha_bar) * (x - math.sqrt(alpha_bar) * MEAN) / (alpha_bar * DEVIATION**2 + 1 - alpha_bar)
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
    scheduler.alphas_cumprod = table.alpha_bar
    scheduler.one = torch.ones((), dtype=torch.float64)
    number = 0

    def recorded(shape: Any, **_: Any) -> Tensor:
        return DRAWS.fold(number).normal(3)

    monkeypatch.setattr(theirs, "randn_tensor", recorded)
    x = DRAWS.fold(0).normal(3).float().double()
    for number, index in enumerate(reversed(range(steps)), start=1):  # noqa: B007 - read by `recorded`
        output = torch.cat(curved(x, times[index]), 1)
        x = scheduler.step(output, index, x).prev_sample
    ours = DDPM(steps=steps, drop_near_noise=False).solve(curved, BETAS, 3, DRAWS)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours.double(), x, rtol=2e-4, atol=2e-4 * float(x.abs().max()))


def test_ddpm_asks_at_the_times_it_keeps() -> None:
    asked: list[float] = []

    def noting(x: Tensor, time: float) -> tuple[Tensor, Tensor]:
        asked.append(time)
        return curved(x, time)

    DDPM(steps=10, drop_near_noise=False).solve(noting, BETAS, 2, DRAWS)
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


class Asked:
    """A prediction that notes the times it was asked at."""

    def __init__(self, predict: Predict) -> None:
        self.predict, self.times = predict, list[float]()

    def __call__(self, x: Tensor, time: float) -> tuple[Tensor, Tensor | None]:
        self.times.append(time)
        return self.predict(x, time)


def away(solver: Any) -> float:
    """The root mean square distance from where the exact flow of a Gaussian ends, which keeps the standard score."""
    toy = Gaussian()
    predict, betas = toy.prediction(solver.path)
    asked = Asked(predict)
    values = solver.solve(asked, betas, 2, DRAWS)
    # On the straight line the way starts at noise alone; else at the last time of the table, where a little of x_0 is left.
    alpha_bar = float((1 - betas).prod()) if len(betas) else 0.0
    start = DRAWS.fold(0).normal(2).float()
    score = (start - math.sqrt(alpha_bar) * toy.mean) / (alpha_bar * toy.deviation**2 + 1 - alpha_bar).sqrt()
    return float((values - toy.mean - toy.deviation * score).square().mean().sqrt())


@pytest.mark.parametrize(
    ("maker", "options", "order", "steps"),
    [
        (DPMSolver, {"order": 1}, 1, (24, 48)),
        (DPMSolver, {"order": 2}, 2, (24, 48)),
        (DPMSolver, {"order": 3}, 3, (13, 25)),
        (DPMSolverSinglestep, {"order": 1}, 1, (24, 48)),
        (DPMSolverSinglestep, {"order": 2}, 2, (25, 49)),
        (DPMSolverSinglestep, {"order": 3}, 3, (13, 25)),
        # The corrector lifts UniPC by one order.
        (UniPC, {"order": 1}, 2, (24, 48)),
        (UniPC, {"order": 2}, 3, (24, 48)),
        (UniPC, {"order": 3}, 4, (13, 25)),
        (Euler, {}, 1, (24, 48)),
        (Heun, {}, 2, (24, 48)),
    ],
)
def test_the_order_of_convergence(maker: Any, options: dict[str, Any], order: int, steps: tuple[int, int]) -> None:
    """Half the step size leaves 1/2^order of the error."""
    coarse, fine = (away(maker(steps=count, **options)) for count in steps)
    assert coarse < 0.1
    assert math.log2(coarse / fine) == pytest.approx(order, abs=0.3)


def test_ddim_converges_to_the_exact_flow() -> None:
    distances = [away(DDIM(steps=steps, drop_near_noise=False)) for steps in (5, 20, 80)]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.03


def plainly(scheduler: Any, steps: int, predict: Predict) -> Tensor:
    """As the documentation of diffusers drives a scheduler."""
    scheduler.set_timesteps(steps)
    x = DRAWS.fold(0).normal(3).float()
    for time in scheduler.timesteps:
        x = scheduler.step(predict(x, float(time))[0], time, x).prev_sample
    return x


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [
        (DPMSolver, diffusers.DPMSolverMultistepScheduler, {"use_lu_lambdas": True}),
        (DPMSolverSinglestep, diffusers.DPMSolverSinglestepScheduler, {"use_exponential_sigmas": True}),
        (UniPC, diffusers.UniPCMultistepScheduler, {"use_exponential_sigmas": True}),
    ],
)
def test_it_is_the_scheduler_of_diffusers_but_for_its_whole_times(
    ours: Any, theirs: Any, options: dict[str, Any], order: int
) -> None:
    """Run plainly, the schedulers round or truncate the times, though not the noise levels; asked at those, ours is theirs."""
    scheduler = theirs(996, trained_betas=BETAS[:996].numpy(), solver_order=order, lower_order_final=True, **options)
    plain = plainly(scheduler, 9, curved)
    whole = iter(scheduler.timesteps.tolist())

    def at_whole_times(x: Tensor, time: float) -> tuple[Tensor, Tensor]:
        theirs = next(whole)
        assert abs(time - theirs) < 1.01
        return curved(x, theirs)

    values = ours(steps=9, order=order).solve(at_whole_times, BETAS, 3, DRAWS)
    # Theirs computes its table in float32.
    torch.testing.assert_close(values, plain, rtol=2e-3, atol=2e-3 * float(plain.abs().max()))


@pytest.mark.parametrize("maker", [DPMSolver, DPMSolverSinglestep, UniPC])
def test_times_are_uniform_in_the_log_ratio_and_lie_between_those_of_the_table(maker: Any) -> None:
    asked = Asked(curved)
    maker(steps=12).solve(asked, BETAS, 2, DRAWS)
    alpha_bar = torch.tensor([kept_at(time) for time in asked.times], dtype=torch.float64)
    ratios = 0.5 * (alpha_bar / (1 - alpha_bar)).log()
    torch.testing.assert_close(ratios.diff(), ratios.diff().mean().expand(11), rtol=1e-4, atol=0)
    assert asked.times[0] == pytest.approx(995)
    assert asked.times[-1] == pytest.approx(0, abs=1e-3)
    assert all(abs(time - round(time)) > 1e-3 for time in asked.times[1:-1])


@pytest.mark.parametrize("maker", [DPMSolver, DPMSolverSinglestep, UniPC])
def test_it_warns_of_nothing(maker: Any, recwarn: pytest.WarningsRecorder) -> None:
    maker(steps=5).solve(curved, BETAS, 2, DRAWS)
    assert not recwarn.list


def euler_by_hand(predict: Predict, x: Tensor, steps: int) -> Tensor:
    for step in range(steps):
        x = x - predict(x, 1 - step / steps)[0] / steps
    return x


def heun_by_hand(predict: Predict, x: Tensor, steps: int) -> Tensor:
    for step in range(steps - 1):
        first = predict(x, 1 - step / steps)[0]
        second = predict(x - first / steps, 1 - (step + 1) / steps)[0]
        x = x - (first + second) / 2 / steps
    return x - predict(x, 1 / steps)[0] / steps


def bent(x: Tensor, time: float) -> tuple[Tensor, None]:
    return torch.tanh(x) * (0.3 + time**2), None


@pytest.mark.parametrize("steps", [1, 2, 7, 30])
@pytest.mark.parametrize(("maker", "by_hand"), [(Euler, euler_by_hand), (Heun, heun_by_hand)])
def test_the_straight_line_is_walked_in_equal_steps(maker: Any, by_hand: Any, steps: int) -> None:
    start = DRAWS.fold(0).normal(2).float()
    nothing = torch.empty(0, dtype=torch.float64)
    values = maker(steps=steps).solve(bent, nothing, 2, DRAWS)
    torch.testing.assert_close(values, by_hand(bent, start, steps), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 2, 9])
@pytest.mark.parametrize("maker", [Euler, Heun])
def test_a_constant_velocity_is_followed_exactly(maker: Any, steps: int) -> None:
    values = maker(steps=steps).solve(lambda x, _: (torch.full_like(x, 2.0), None), BETAS[:0], 2, DRAWS)
    torch.testing.assert_close(values, DRAWS.fold(0).normal(2).float() - 2, rtol=1e-5, atol=1e-5)


def test_ddim_draws_noise_only_when_it_is_ancestral() -> None:
    class First(Streams):
        """Streams that can be folded by 0 alone."""

        def fold(self, number: int | Tensor) -> Streams:
            assert number == 0
            return super().fold(number)

    DDIM(steps=5).solve(exact, BETAS, 2, First(DRAWS.keys))
    with pytest.raises(AssertionError):
        DDIM(steps=5, eta=1.0).solve(exact, BETAS, 2, First(DRAWS.keys))


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 8, 12])
@pytest.mark.parametrize("maker", [DDPM, DDIM, DPMSolver, DPMSolverSinglestep, UniPC, Euler, Heun])
def test_as_many_evaluations_as_promised(maker: Any, steps: int) -> None:
    solver = maker(steps=steps)
    predict, betas = Gaussian().prediction(solver.path)
    asked = Asked(predict)
    values = solver.solve(asked, betas, 2, DRAWS)
    assert len(asked.times) == getattr(solver, "evaluations", steps)
    assert asked.times == sorted(asked.times, reverse=True)
    assert values.isfinite().all()


def test_heun_evaluates_twice_but_in_the_last_step() -> None:
    assert [Heun(steps=steps).evaluations for steps in (1, 2, 8)] == [1, 3, 15]


def test_a_solver_of_the_other_path_does_not_fit() -> None:
    check_path(Parts(solver=Heun()), "velocity")
    with pytest.raises(Unfit, match="predicts a velocity, and this solver needs noise; take a solver such as heun"):
        check_path(Parts(solver=UniPC()), "velocity")
    with pytest.raises(Unfit, match="predicts noise, and this solver needs a velocity"):
        check_path(Parts(solver=Euler()), "noise")


@pytest.mark.parametrize("maker", [DDPM, DDIM])
def test_a_single_step_starts_from_noise_and_gives_the_expected_value(maker: Any) -> None:
    """E[x_0 | x_T], which for a Gaussian is linear in x_T."""
    asked: list[float] = []

    def noting(x: Tensor, time: float) -> tuple[Tensor, Tensor]:
        asked.append(time)
        return exact(x, time)

    assert maker(steps=1, drop_near_noise=False).solve(exact, BETAS, 1, DRAWS).isfinite().all()
    values = maker(steps=1).solve(noting, BETAS, 1, DRAWS)
    alpha_bar, noise = float(KEPT[995]), DRAWS.fold(0).normal(1)
    gain = math.sqrt(alpha_bar) * DEVIATION**2 / (alpha_bar * DEVIATION**2 + 1 - alpha_bar)
    assert asked == [995]
    torch.testing.assert_close(values.double(), MEAN + gain * (noise - math.sqrt(alpha_bar) * MEAN), rtol=0, atol=1e-3)


@pytest.mark.parametrize(("drop", "most"), [(True, 996), (False, 1000)])
@pytest.mark.parametrize("maker", [DDPM, DDIM])
def test_more_steps_than_the_table_has_times_are_refused(maker: Any, drop: bool, most: int) -> None:
    space = TokenSpace(4, 2)
    maker(steps=most, drop_near_noise=drop).check(Parts(), space)
    with pytest.raises(Unfit, match=f"take at most {most} steps instead of {most + 1}"):
        maker(steps=most + 1, drop_near_noise=drop).check(Parts(), space)
    with pytest.raises(ValueError, match=f"take at most {most}"):
        maker(steps=most + 1, drop_near_noise=drop).solve(exact, BETAS, 1, DRAWS)
