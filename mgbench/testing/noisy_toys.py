"""Exact models for solvers: a Gaussian with known noise and velocity predictions, and two simple solvers."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from mgbench.interfaces.components import Predict
from mgbench.interfaces.randomness import Streams


@dataclass(frozen=True)
class Euler:
    """A deterministic DDIM solver with every 100th time of the table."""

    path: ClassVar[Literal["noise"]] = "noise"
    steps: int = 10

    def solve(self, predict: Predict, betas: Tensor, dim: int, rng: Streams) -> Tensor:
        alpha_bar = (1 - betas).cumprod(0).clamp_min(1e-4)
        x = rng.fold(0).normal(dim).float()
        for time in range(len(alpha_bar) - 1, 0, -100):
            eps, _ = predict(x, float(time))
            now, then = float(alpha_bar[time]), float(alpha_bar[max(0, time - 100)])
            start = (x - math.sqrt(1 - now) * eps) / math.sqrt(now)
            x = math.sqrt(then) * start + math.sqrt(1 - then) * eps
        return x


@dataclass(frozen=True)
class Straight:
    """Euler's method on the straight path in ten steps."""

    path: ClassVar[Literal["velocity"]] = "velocity"
    steps: int = 10

    def solve(self, predict: Predict, betas: Tensor, dim: int, rng: Streams) -> Tensor:
        x = rng.fold(0).normal(dim).float()
        for step in range(self.steps):
            velocity, _ = predict(x, 1 - step / self.steps)
            x = x - velocity / self.steps
        return x


class Gaussian:
    """Exact predictions for tokens of two independent normal numbers."""

    def __init__(self) -> None:
        self.mean, self.deviation = torch.tensor([0.7, -0.4]), torch.tensor([0.5, 0.9])
        self.betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
        self._log_kept = (1 - self.betas).cumprod(0).log()

    def denoise(self, x: Tensor, time: float) -> tuple[Tensor, Tensor]:
        """The expected noise [R,2] in x [R,2] at a time, and a variance value [R,2] halfway between its bounds."""
        low = int(time)
        high, share = min(low + 1, len(self.betas) - 1), time - low
        alpha_bar = float((self._log_kept[low] * (1 - share) + self._log_kept[high] * share).exp())
        spread = alpha_bar * self.deviation**2 + 1 - alpha_bar
        return math.sqrt(1 - alpha_bar) * (x - math.sqrt(alpha_bar) * self.mean) / spread, torch.zeros_like(x)

    def velocity(self, x: Tensor, time: float) -> tuple[Tensor, None]:
        """The expected velocity ε − x_0 [R,2] at x [R,2] on the straight path, where x_t is N((1 − t) m, (1 − t)² s² +
        t²).
        """
        spread = (1 - time) ** 2 * self.deviation**2 + time**2
        slope = (time - (1 - time) * self.deviation**2) / spread
        return slope * (x - (1 - time) * self.mean) - self.mean, None

    def prediction(self, path: Literal["noise", "velocity"]) -> tuple[Predict, Tensor]:
        """The inputs of a solver for a path: the prediction, and the noise table float64 [T], which is empty for
        "velocity".
        """
        if path == "velocity":
            return self.velocity, torch.empty(0, dtype=torch.float64)
        return self.denoise, self.betas
