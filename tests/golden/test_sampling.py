"""Noise tables, ancestral sampling of the head, mask schedules and reveal plans against the published code."""

import re
from typing import Any

import pytest
import torch
from mgbench_plugins.emigm import AncestralShared
from mgbench_plugins.maskgit import MaskGIT
from torch import Tensor

from mgbench.components.heads.noise_schedule import Table, cosine_betas, learned_log_variance, respaced
from mgbench.components.heads.solvers import DDPM, ancestral_step
from mgbench.components.samplers.position_first import RandomOrder
from mgbench.components.schedules.guidance_schedules import Constant, Interval, Linear
from mgbench.components.schedules.loss_weightings import log_slope
from mgbench.components.schedules.mask_schedules import Cosine, Exp, LogExp, PowT
from mgbench.components.schedules.mask_schedules import Linear as LinearSchedule
from mgbench.components.schedules.time_grids import Uniform
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Step
from tests.golden.official import EMIGM, SAMPLING, Recorded, assert_near, golden, head

SCHEDULES: dict[str, Any] = {
    "linear": LinearSchedule(),
    "cosine": Cosine(),
    "exp": Exp(5.0),
    "log": LogExp(5.0),
    "poly-0.5": PowT(0.5),
}
FILE = golden("schedules")
GRID, MANY = Uniform(end=1e-5), TokenSpace(1000, 1)


def rows(name: str, count: int | None = None) -> tuple[Tensor, Tensor]:
    """z with and without the label at the masked tokens."""
    file = golden(name)
    mask = file["mask"].bool()
    return file["z_cond"][mask][:count], file["z_uncond"][mask][:count]


def test_the_noise_table() -> None:
    assert_near(cosine_betas(), FILE["betas"], 1e-12)
    assert_near(Table(cosine_betas()).alpha_bar, FILE["alphas_cumprod"], 1e-12)


def test_the_respaced_table() -> None:
    times, table = respaced(cosine_betas(), 100)
    assert times == FILE["respaced100.timestep_map"].tolist()
    coef_x0, coef_xt = table.posterior_weights
    ours = {
        "betas": table.betas,
        "alphas_cumprod": table.alpha_bar,
        "posterior_variance": table.posterior_variance,
        "posterior_log_variance_clipped": table.posterior_log_variance,
        "posterior_mean_coef1": coef_x0,
        "posterior_mean_coef2": coef_xt,
    }
    for name, value in ours.items():
        assert_near(value, FILE[f"respaced100.{name}"], 1e-11)


def guided(name: str, x: Tensor, time: int, scale: float, count: int | None = None) -> tuple[Tensor, Tensor]:
    z, without = rows(name, count)
    eps, value = head(name)(x, torch.full((len(x),), float(time)), z)
    plain, _ = head(name)(x, torch.full((len(x),), float(time)), without)
    return plain + scale * (eps - plain), value


@pytest.mark.parametrize("scale", [1, 4])
@pytest.mark.parametrize("name", EMIGM)
def test_one_ancestral_step(name: str, scale: int) -> None:
    file = golden(name)
    times, table = respaced(cosine_betas(), 100)
    for number, index in enumerate([99, 75, 50, 10, 0]):
        eps, value = guided(name, file["ddpm_x"], times[index], scale)
        mean, deviation = ancestral_step(table, index, file["ddpm_x"], eps, value)
        assert_near(mean, file[f"ddpm_cfg{scale}.mean"][number], SAMPLING)
        assert_near(deviation**2, file[f"ddpm_cfg{scale}.variance"][number], SAMPLING)
        low, high = table.posterior_log_variance[index].float(), table.betas[index].log().float()
        logarithm = learned_log_variance(value, low, high)
        assert_near(logarithm, file[f"ddpm_cfg{scale}.log_variance"][number], SAMPLING)


@torch.no_grad()
def all_steps(name: str, scale: float, temperature: float) -> Tensor:
    z, without = rows(name, 6)
    rng: Any = Recorded(golden(name)["traj_noise"])
    solver = DDPM(steps=100, temperature=temperature, drop_near_noise=False)
    return head(name).sample(z, None if scale == 1 else without, scale, rng, Parts(solver=solver)).values


@pytest.mark.parametrize(
    ("name", "scale", "temperature", "key"),
    [
        *[(name, 1, 1.0, "ddpm100_cfg1.sample") for name in EMIGM],
        *[(name, 4, 0.95, "ddpm100_cfg4.sample") for name in EMIGM],
        ("mar_tiny", 1, 1.0, "ddpm100_cfg1.0.sample"),
        ("mar_tiny", 2.9, 0.98, "ddpm100_cfg2.9.sample"),
    ],
)
def test_a_hundred_ancestral_steps(name: str, scale: float, temperature: float, key: str) -> None:
    assert_near(all_steps(name, scale, temperature), golden(name)[key], SAMPLING)


def test_another_temperature_would_be_seen() -> None:
    with pytest.raises(AssertionError, match="differs by"):
        assert_near(all_steps("mar_tiny", 2.9, 1.0), golden("mar_tiny")["ddpm100_cfg2.9.sample"], SAMPLING)


@torch.no_grad()
@pytest.mark.parametrize(("scale", "temperature"), [(1, 1.0), (4, 0.95)])
@pytest.mark.parametrize("name", EMIGM)
def test_the_last_eighty_ancestral_steps(name: str, scale: int, temperature: float) -> None:
    """Without the steps out of pure noise, which blow an untrained head's error up, late steps are judged finely."""
    noise = golden(name)["traj_noise"]
    times, table = respaced(cosine_betas(), 100)
    x = noise[0]
    for index in reversed(range(80)):
        mean, deviation = ancestral_step(table, index, x, *guided(name, x, times[index], scale, 6))
        x = mean + (temperature * deviation * noise[80 - index] if index else 0)
    assert_near(x, golden(name)[f"ddpm80_cfg{scale}.sample"], SAMPLING)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_mask_schedules(name: str) -> None:
    assert_near(SCHEDULES[name](FILE["p"]), FILE[f"gamma.{name}"], 1e-14)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_weights_of_the_bound(name: str) -> None:
    assert_near(log_slope(SCHEDULES[name], FILE["p"], 0.0), FILE[f"weight.{name}"], 1e-12)


class Odds:
    """Streams whose numbers note what they are compared with, and reveal nothing."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def fold(self, number: int) -> "Odds":
        return self

    def uniform(self, count: int) -> "Odds":
        return self

    def __getitem__(self, rows: Any) -> "Odds":
        return self

    def __lt__(self, odds: float) -> Tensor:
        self.seen.append(odds)
        return torch.zeros(1)


@pytest.mark.parametrize("steps", [8, 16, 64, 128])
@pytest.mark.parametrize("name", SCHEDULES)
def test_the_chance_of_being_revealed(name: str, steps: int) -> None:
    odds: Any = Odds()
    plan = list(AncestralShared().plan(SCHEDULES[name], MANY, GRID(steps), odds))
    assert [step.reveal for step in plan] == [1] * (steps - 1) + [1001 - steps]
    assert_near(torch.tensor(odds.seen, dtype=torch.float64), FILE[f"p_transfer.{name}.T{steps}"], 1e-12)
    times = torch.tensor([1, *[step.s for step in plan]], dtype=torch.float64)
    assert_near(times, FILE[f"timesteps.T{steps}"], 1e-15)
    assert_near(torch.tensor(odds.seen), FILE[f"p_transfer.{name}.T{steps}.f32"], 1e-5)


SETTINGS = [name.removesuffix(".setting") for name in FILE if name.endswith(".setting")]


@pytest.mark.parametrize("name", SETTINGS)
def test_the_steps_that_are_guided(name: str) -> None:
    steps, low, high, scale, _ = FILE[f"{name}.setting"].tolist()
    guidance = Interval(low, high, Constant(scale))
    plan = AncestralShared().plan(Exp(5.0), MANY, GRID(int(steps)), Odds())  # type: ignore[arg-type]
    assert [int(guidance(step) != 1) for step in plan] == FILE[name].tolist()


def test_the_guided_steps_of_the_recorded_run() -> None:
    guidance = Interval(0.1, 0.3, Constant(4.0))
    plan = list(AncestralShared().plan(Exp(5.0), MANY, GRID(8), Odds()))  # type: ignore[arg-type]
    assert [int(guidance(step) != 1) for step in plan] == golden("emigm_tiny_trained")["trace.guided"].tolist()


def plan_of(sampler: Any, tokens: int, steps: int) -> list[Step]:
    return list(sampler.plan(Cosine(), TokenSpace(tokens, 1), Uniform()(steps), Streams.root(0, "shared")))


REVEALS = sorted({tuple(map(int, re.findall(r"\d+", name)[:2])) for name in golden("mar_tiny") if "reveal." in name})


@pytest.mark.parametrize(("tokens", "steps"), REVEALS)
def test_how_many_tokens_mar_reveals(tokens: int, steps: int) -> None:
    plan = plan_of(RandomOrder(), tokens, steps)
    counts = golden("mar_tiny")[f"reveal.L{tokens}.T{steps}.counts"].tolist()
    assert {step.index: step.reveal for step in plan} == {k: count for k, count in enumerate(counts) if count}


@pytest.mark.parametrize("scale", [2.9, 4.0])
@pytest.mark.parametrize(("tokens", "steps"), REVEALS)
def test_how_hard_mar_guides(tokens: int, steps: int, scale: float) -> None:
    """All but the last step, in which MAR counts one token as masked that is not."""
    *plan, last = plan_of(RandomOrder(), tokens, steps)
    weights = golden("mar_tiny")[f"reveal.L{tokens}.T{steps}.cfg{scale}"]
    ours = torch.tensor([Linear(scale)(step) for step in plan])
    assert_near(ours, weights[[step.index for step in plan]], 1e-6)
    assert Linear(scale)(last) == pytest.approx(scale)
    assert weights[-1].item() == pytest.approx(1 + (scale - 1) * (tokens - 1) / tokens)


@pytest.mark.parametrize(
    ("steps", "counts"),
    [
        (8, "5 15 24 31 39 45 48 49"),
        (12, "3 6 11 15 18 22 26 27 31 31 33 33"),
        (16, "2 3 7 8 11 13 15 16 19 20 22 23 23 25 24 25"),
    ],
)
def test_how_many_tokens_maskgit_reveals(steps: int, counts: str) -> None:
    assert [step.reveal for step in plan_of(MaskGIT(), 256, steps)] == [int(count) for count in counts.split()]
