"""Solvers, which integrate from noise to a value with predictions of noise or velocity."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from mgbench.components.heads.noise_schedule import (
    Table,
    cosine_betas,
    interpolated,
    learned_log_variance,
    once,
    respaced,
)
from mgbench.errors import Unfit
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Parts, Predict
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.recipes.spec import Count, NotNegative, Share

# eMIGM's solver starts there too.
LEAST_LOG_RATIO = -5.1
Path = Literal["noise", "velocity"]


def check_path(parts: Parts, path: Path) -> None:
    """Check that the solver of a recipe follows the path that the model is trained for.

    Raises:
        Unfit: if it does not.
    """
    if parts.solver.path != path:
        raise Unfit(
            f"the model predicts {_PREDICTED[path]}, and this solver needs {_PREDICTED[parts.solver.path]}; "
            f"take a solver such as {_EXAMPLES[path]}"
        )


_PREDICTED = {"noise": "noise", "velocity": "a velocity"}
_EXAMPLES = {"noise": "dpmpp_multistep", "velocity": "heun"}


def _normal(rng: Streams, number: int, dim: int) -> Tensor:
    return rng.fold(number).normal(dim).float()


@dataclass(frozen=True)
class DDPM:
    """Ancestral sampling (DDPM, arXiv:2006.11239) in `steps` steps, with learned variance (arXiv:2102.09672).

    `temperature` multiplies the noise. MAR uses it with 100 steps (arXiv:2406.11838) and without `drop_near_noise`,
    which leaves out times of almost pure noise, where a step amplifies errors of the head by about 300. The scheduler
    of diffusers is not used, because it draws its own noise, which would make an image depend on its batch, and has no
    temperature; a test compares with it.
    """

    path: ClassVar[Path] = "noise"
    former_options: ClassVar[Mapping[str, str]] = {"trim": "drop_near_noise"}
    steps: Count = 100
    temperature: NotNegative = 1.0
    drop_near_noise: bool = True

    def check(self, parts: Parts, space: TokenSpace) -> None:
        _check_steps(self.steps, self.drop_near_noise)

    def solve(self, predict: Predict, betas: Tensor, dim: int, rng: Streams) -> Tensor:
        times, table = _respaced(betas, self.steps, self.drop_near_noise)
        x = _normal(rng, 0, dim)
        for index in reversed(range(len(times))):
            mean, deviation = ancestral_step(table, index, x, *predict(x, float(times[index])))
            noise = _normal(rng, len(times) - index, dim) if index else 0.0
            x = mean + self.temperature * deviation * noise
        return x


def ancestral_step(table: Table, index: int, x: Tensor, eps: Tensor, value: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, float [R,D], of p(x_{i−1} | x_i) at index i of a table; x_0 is not clipped.

    `x`, the predicted noise `eps` and the variance `value` are float [R,D]; without a learned variance (`value` None),
    it is that of q(x_{i−1} | x_i, x_0).
    """
    alpha_bar = table.alpha_bar[index]
    start = x / alpha_bar.sqrt().float() - (1 / alpha_bar - 1).sqrt().float() * eps
    coef_x0, coef_xt = (weight[index].float() for weight in table.posterior_weights)
    low, high = table.posterior_log_variance[index].float(), table.betas[index].log().float()
    log_variance = low.expand_as(x) if value is None else learned_log_variance(value, low, high)
    return coef_x0 * start + coef_xt * x, (0.5 * log_variance).exp()


@dataclass(frozen=True)
class DDIM:
    """DDIM with `steps` times of the table (arXiv:2010.02502), by diffusers; `eta` 0 is deterministic, 1 ancestral.

    `drop_near_noise` as in `ddpm`.
    """

    path: ClassVar[Path] = "noise"
    former_options: ClassVar[Mapping[str, str]] = {"trim": "drop_near_noise"}
    steps: Count = 50
    eta: Share = 0.0
    drop_near_noise: bool = True

    def check(self, parts: Parts, space: TokenSpace) -> None:
        _check_steps(self.steps, self.drop_near_noise)

    def solve(self, predict: Predict, betas: Tensor, dim: int, rng: Streams) -> Tensor:
        from diffusers import DDIMScheduler

        times, table = _respaced(betas, self.steps, self.drop_near_noise)
        # A table of only these times, so that each step leads exactly to the next time whatever their spacing.
        scheduler = DDIMScheduler(len(times), trained_betas=table.betas.cpu().numpy(), clip_sample=False)
        # In float64, because in float32 ᾱ of almost pure noise is 0, and a step divides by it.
        scheduler.alphas_cumprod = table.alpha_bar.cpu()
        scheduler.set_timesteps(len(times))
        x = _normal(rng, 0, dim)
        for number, index in enumerate(scheduler.timesteps.tolist()):
            eps, _ = predict(x, float(times[index]))
            noise = _normal(rng, number + 1, dim) if self.eta else None
            x = scheduler.step(eps, index, x, eta=self.eta, variance_noise=noise).prev_sample
        return x


@dataclass(frozen=True)
class DPMSolver:
    """Multistep DPM-Solver++ with `steps` evaluations, uniform in the log signal-to-noise ratio (arXiv:2211.01095), by
    diffusers.

    It reuses earlier evaluations, and has no temperature.
    """

    path: ClassVar[Path] = "noise"
    steps: Count = 8
    order: Literal[1, 2, 3] = 2

    def solve(self, predict: Predict, betas: Tensor, dim: int, rng: Streams) -> Tensor:
        from diffusers import DPMSolverMultistepScheduler

        return _scheduled(DPMSolverMultistepScheduler, self.order, predict, betas, self.steps, dim, rng)


@dataclass(frozen=True)
class DPMSolverSinglestep:
    """Singlestep DPM-Solver++ (arXiv:2211.01095): groups of `order` evaluations, independent of earlier ones, by
    diffusers.

    All groups share one uniform grid; if `steps` is not a multiple of `order`, and at the end, groups are shorter.
    """

    path: ClassVar[Path] = "noise"
    steps: Count = 8
    order: Literal[1, 2, 3] = 3

    def solve(self, predict: Predict, betas: Tensor, dim: int, rng: Streams) -> Tensor:
        from diffusers import DPMSolverSinglestepScheduler

        return _scheduled(
            DPMSolverSinglestepScheduler, self.order, predict, betas, self.steps, dim, rng, lower_order_final=True
        )


@dataclass(frozen=True)
class UniPC:
    """UniPC (arXiv:2302.04867), a multistep predictor-corrector without extra evaluations, by diffusers.

    `steps` evaluations, uniform in the log signal-to-noise ratio.
    """

    path: ClassVar[Path] = "noise"
    steps: Count = 8
    order: Literal[1, 2, 3] = 2

    def solve(self, predict: Predict, betas: Tensor, dim: int, rng: Streams) -> Tensor:
        from diffusers import UniPCMultistepScheduler

        return _scheduled(UniPCMultistepScheduler, self.order, predict, betas, self.steps, dim, rng)


def _scheduled(
    maker: type, order: int, predict: Predict, betas: Tensor, steps: int, dim: int, rng: Streams, **options: object
) -> Tensor:
    """Run a scheduler of diffusers over `steps` noise levels, uniform in their logarithm, and from the last to x_0."""
    table = once(betas, "above noise", lambda: Table(_above_noise(betas).cpu()))
    scheduler = maker(
        len(table.betas),
        trained_betas=table.betas.numpy(),
        solver_order=order,
        use_exponential_sigmas=True,
        **options,
    )
    # In float64, to keep the digits of 1 − ᾱ, and as an array, because NumPy 2 warns about tensors.
    scheduler.alphas_cumprod = table.alpha_bar.numpy()
    scheduler.set_timesteps(steps)
    # By index, because after truncation the first two times may be equal.
    scheduler.set_begin_index(0)
    x = _normal(rng, 0, dim)
    # The schedulers truncate times to integers, but their noise levels are in between.
    for time, truncated in zip(_times(table, scheduler.sigmas[:-1].double()), scheduler.timesteps, strict=True):
        eps, _ = predict(x, time)
        x = scheduler.step(eps, truncated, x).prev_sample
    return x


def _times(table: Table, sigmas: Tensor) -> list[float]:
    """The times at which √(1−ᾱ)/√ᾱ equals sigma, with log ᾱ linear between the times of the table."""
    log_kept, wanted = table.alpha_bar.log().flip(0), -torch.log1p(sigmas**2)
    times = torch.arange(len(log_kept) - 1, -1, -1, dtype=torch.float64)
    return interpolated(wanted, log_kept, times).clamp(0, len(times) - 1).tolist()


def _respaced(betas: Tensor, steps: int, drop_near_noise: bool) -> tuple[list[int], Table]:
    """Cached `respaced`."""
    return once(betas, ("respaced", steps, drop_near_noise), lambda: respaced(_table(betas, drop_near_noise), steps))


def _table(betas: Tensor, drop_near_noise: bool) -> Tensor:
    return _above_noise(betas) if drop_near_noise else betas


def _check_steps(steps: int, drop_near_noise: bool) -> None:
    """Refuse more steps than the noise table of the heads has times, before anything is trained.

    Raises:
        Unfit: if there are more.
    """
    known = len(_table(cosine_betas(), drop_near_noise))
    if steps > known:
        raise Unfit(
            f"this solver uses times of a noise table, which has {known}; take at most {known} steps instead of {steps}"
        )


def _above_noise(betas: Tensor) -> Tensor:
    """The table [T] without times of almost pure noise, where log(√ᾱ/√(1−ᾱ)) is below −5.1."""
    alpha_bar = Table(betas).alpha_bar
    return betas[0.5 * (alpha_bar.log() - (1 - alpha_bar).log()) > LEAST_LOG_RATIO]


@dataclass(frozen=True)
class Euler:
    """Euler's method on the straight path of flow matching (arXiv:2210.02747) in `steps` equal steps.

    By diffusers.
    """

    path: ClassVar[Path] = "velocity"
    steps: Count = 16

    def solve(self, predict: Predict, betas: Tensor, dim: int, rng: Streams) -> Tensor:
        from diffusers import FlowMatchEulerDiscreteScheduler

        return _straight(FlowMatchEulerDiscreteScheduler, predict, self.steps, dim, rng)


@dataclass(frozen=True)
class Heun:
    """Heun's method on the straight path in `steps` equal steps (arXiv:2206.00364, §3), by diffusers.

    Two evaluations per step, except one in the last: 2·steps − 1.
    """

    path: ClassVar[Path] = "velocity"
    steps: Count = 8

    @property
    def evaluations(self) -> int:
        return 2 * self.steps - 1

    def solve(self, predict: Predict, betas: Tensor, dim: int, rng: Streams) -> Tensor:
        from diffusers import FlowMatchHeunDiscreteScheduler

        return _straight(FlowMatchHeunDiscreteScheduler, predict, self.steps, dim, rng)


def _straight(maker: type, predict: Predict, steps: int, dim: int, rng: Streams) -> Tensor:
    """Run a flow-matching scheduler of diffusers in equal steps from t = 1 to 0."""
    # As many training times as steps; with a finer table, the last step would only start at its first time.
    scheduler = maker(steps)
    scheduler.set_timesteps(steps)
    x = _normal(rng, 0, dim)
    for time in scheduler.timesteps:
        velocity, _ = predict(x, float(time) / steps)
        x = scheduler.step(velocity.float(), time, x).prev_sample
    return x


@hookimpl
def mgbench_solvers() -> dict[str, type]:
    return {
        "ddpm": DDPM,
        "ddim": DDIM,
        "dpmpp_multistep": DPMSolver,
        "dpmpp_singlestep": DPMSolverSinglestep,
        "unipc": UniPC,
        "euler": Euler,
        "heun": Heun,
    }
