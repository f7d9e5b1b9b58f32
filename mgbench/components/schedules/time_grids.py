"""Time grids: the times of sampling steps. A grid reparametrises the schedule, because γ(grid(u)) is a schedule too."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mgbench.hookspecs import hookimpl
from mgbench.recipes.spec import Positive, Share


def _evenly(steps: int) -> Tensor:
    return torch.linspace(1, 0, steps + 1, dtype=torch.float64)


@dataclass(frozen=True)
class Uniform:
    """Equal steps from 1 to `end`; eMIGM's code (arXiv:2503.07197) ends at 1e-5, which matters at the bounds of
    intervals.
    """

    end: Share = 0.0

    def __post_init__(self) -> None:
        if self.end >= 0.01:
            raise ValueError(f"end ({self.end}) must be below 0.01, where hardly a token is masked")

    def __call__(self, steps: int) -> Tensor:
        return torch.linspace(1, self.end, steps + 1, dtype=torch.float64)


@dataclass(frozen=True)
class Cosine:
    """t = sin(πu/2) for equal steps in u, with small steps first; with γ = linear it equals γ = cosine (MD4,
    arXiv:2406.04329).
    """

    def __call__(self, steps: int) -> Tensor:
        return torch.sin(math.pi / 2 * _evenly(steps))


@dataclass(frozen=True)
class Power:
    """t = u^p for equal steps in u; the last steps are small for p > 1, and the first for p < 1."""

    p: Positive = 2.0

    def __call__(self, steps: int) -> Tensor:
        return _evenly(steps) ** self.p


@hookimpl
def mgbench_time_grids() -> dict[str, type]:
    return {"uniform": Uniform, "cosine": Cosine, "power": Power}
