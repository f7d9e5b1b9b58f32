"""The official DPM-Solver++: its grids, every point it asks the head at, and what comes out."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
import torch
from mgbench_plugins.emigm import DPMSolver3S, NoiseCurve, orders
from torch import Tensor

from mgbench.components.heads.diffusion import DiffusionMLP
from mgbench.components.heads.noise_schedule import cosine_betas
from mgbench.interfaces.components import Parts
from mgbench.interfaces.randomness import Streams
from tests.golden.official import EMIGM, SAMPLING, Recorded, assert_near, golden, head

FILE = golden("schedules")
CURVE = NoiseCurve.of(cosine_betas(), torch.float32)
EVALUATIONS = (6, 8, 10, 14)


def test_the_curve_is_cut_where_almost_nothing_is_left() -> None:
    assert len(CURVE.log_alpha) == FILE["dpm.total_N"].item()
    assert_near(CURVE.log_alpha, FILE["dpm.log_alpha"], 1e-7)
    assert_near(CURVE.times, FILE["dpm.t_array"], 1e-7)


@pytest.mark.parametrize("count", EVALUATIONS)
def test_the_outer_grid(count: int) -> None:
    assert orders(count) == FILE[f"dpm.{count}.orders"].tolist()
    times = CURVE.grid(1.0, CURVE.first, len(orders(count)))
    alpha, sigma, ratio = CURVE.at(times)
    ours = {"timesteps": times, "alpha": alpha, "sigma": sigma, "lambda": ratio}
    for name, value in ours.items():
        assert_near(value, FILE[f"dpm.{count}.{name}"], 1e-6)


@pytest.mark.parametrize("count", EVALUATIONS)
def test_the_inner_grids(count: int) -> None:
    outer = FILE[f"dpm.{count}.timesteps"].tolist()
    for number, (order, (start, end)) in enumerate(zip(orders(count), pairwise(outer), strict=True)):
        times = CURVE.grid(start, end, order)
        assert_near(times, FILE[f"dpm.{count}.inner{number}.timesteps"], 1e-6)
        if order > 1:
            _, _, ratio = CURVE.at(times)
            shares = (ratio - ratio[0]) / (ratio[-1] - ratio[0])
            assert_near(shares[1:-1], FILE[f"dpm.{count}.inner{number}.r"], 1e-6)


@contextmanager
def watched(module: DiffusionMLP) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """What a head is asked: x and the time of each evaluation."""
    seen: list[tuple[Tensor, Tensor]] = []
    hook = module.register_forward_hook(lambda _, asked, __: seen.append(asked[:2]))
    yield seen
    hook.remove()


@torch.no_grad()
def solved(name: str, scale: int, solver: Any, asked: DiffusionMLP | None = None) -> Tensor:
    file = golden(name)
    mask = file["mask"].bool()
    z, without = file["z_cond"][mask], file["z_uncond"][mask]
    rng: Any = Recorded(file["dpm_noise"][None])
    parts = Parts(solver=solver)
    return (asked or head(name)).sample(z, None if scale == 1 else without, float(scale), rng, parts).values


@pytest.mark.parametrize("scale", [1, 4])
@pytest.mark.parametrize("count", EVALUATIONS)
@pytest.mark.parametrize("name", EMIGM)
def test_a_solve_in_float32(name: str, count: int, scale: int) -> None:
    assert_near(solved(name, scale, DPMSolver3S(count)), golden(name)[f"dpm{count}_cfg{scale}"], SAMPLING)


@pytest.mark.parametrize("scale", [1, 4])
@pytest.mark.parametrize("count", EVALUATIONS)
def test_a_solve_in_float64(count: int, scale: int) -> None:
    reference = golden("emigm_tiny_trained")[f"dpm{count}_cfg{scale}.float64"]
    assert_near(solved("emigm_tiny_trained", scale, DPMSolver3S(count, "float64")), reference, SAMPLING)


@pytest.mark.parametrize("scale", [1, 4])
@pytest.mark.parametrize("name", EMIGM)
def test_every_point_it_asks_at(name: str, scale: int) -> None:
    """Each update of the solver, and each of its inner points, by the x that follows from it."""
    file, module = golden(name), head(name)
    with watched(module) as seen:
        solved(name, scale, DPMSolver3S(8), module)
    assert_near(torch.stack([x[:33] for x, _ in seen]), file[f"dpm8_cfg{scale}.nfe_x"], SAMPLING)
    assert_near(torch.cat([time for _, time in seen]), file[f"dpm8_cfg{scale}.nfe_t"], 1e-6)


@pytest.mark.parametrize("count", EVALUATIONS)
def test_the_times_it_asks_at(count: int) -> None:
    times: list[float] = []

    def noting(x: Tensor, time: float) -> tuple[Tensor, None]:
        times.append(time)
        return x, None

    DPMSolver3S(count).solve(noting, cosine_betas(), 2, Streams.root(0, "rows")[None])
    assert_near(torch.tensor(times), FILE[f"dpm.{count}.nfe_t"], 1e-6)
    times.clear()
    DPMSolver3S(count, "float64").solve(noting, cosine_betas(), 2, Streams.root(0, "rows")[None])
    reference = golden("emigm_tiny_trained")[f"dpm{count}.nfe_t_float64"]
    assert_near(torch.tensor(times, dtype=torch.float64), reference, 1e-13)


def test_another_precision_would_be_seen() -> None:
    file = golden("emigm_tiny_trained")
    with pytest.raises(AssertionError, match="differs by"):
        assert_near(solved("emigm_tiny_trained", 4, DPMSolver3S(8, "float64")), file["dpm8_cfg4"], SAMPLING)
    assert_near(solved("emigm_tiny_trained", 4, DPMSolver3S(8, "float64")), file["dpm8_cfg4"], 5e-4)


def test_whole_times_would_be_seen() -> None:
    class Rounded(DPMSolver3S):
        def solve(self, predict: Any, *rest: Any) -> Tensor:
            return super().solve(lambda x, time: predict(x, round(time)), *rest)

    with pytest.raises(AssertionError, match="differs by"):
        assert_near(solved("emigm_tiny_trained", 1, Rounded(8)), golden("emigm_tiny_trained")["dpm8_cfg1"], SAMPLING)
