"""Gaussian diffusion: the noise table, the learned variance, and the variational bound.

Symbols: ᾱ_i = Π_{j≤i} (1 − β_j); x_i = √ᾱ_i x_0 + √(1 − ᾱ_i) ε. Improved DDPM (arXiv:2102.09672).
"""

import math
from collections.abc import Callable, Hashable, MutableMapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

STEPS = 1000


@cache
def cosine_betas(steps: int = STEPS) -> Tensor:
    """β float64 [T], T = `steps`, of the cosine schedule, at most 0.999 (arXiv:2102.09672, Eq. 17)."""
    # The cached table must not depend on the default device at the first call.
    times = torch.arange(steps + 1, dtype=torch.float64, device="cpu") / steps
    alpha_bar = torch.cos((times + 0.008) / 1.008 * math.pi / 2) ** 2
    return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp_max(0.999)


@dataclass(frozen=True)
class Table:
    """Quantities derived from β, float64 [T] each, computed once."""

    betas: Tensor

    @cached_property
    def alpha_bar(self) -> Tensor:
        """ᾱ_i, float64 [T]."""
        return (1 - self.betas).cumprod(0)

    @cached_property
    def alpha_bar_before(self) -> Tensor:
        """ᾱ_{i−1}, float64 [T], with ᾱ_{−1} = 1."""
        return torch.cat([torch.ones_like(self.betas[:1]), self.alpha_bar[:-1]])

    @cached_property
    def posterior_variance(self) -> Tensor:
        """The variance of q(x_{i−1} | x_i, x_0), float64 [T]."""
        return self.betas * (1 - self.alpha_bar_before) / (1 - self.alpha_bar)

    @cached_property
    def posterior_log_variance(self) -> Tensor:
        """The logarithm of `posterior_variance`, float64 [T]; at i = 0, instead of −∞, that of i = 1 (of β if T = 1)."""
        variance = self.posterior_variance
        first = variance[1:2] if len(variance) > 1 else self.betas
        return torch.cat([first, variance[1:]]).log()

    @cached_property
    def posterior_weights(self) -> tuple[Tensor, Tensor]:
        """The weights of x_0 and of x_i in the mean of q(x_{i−1} | x_i, x_0), float64 [T] each."""
        coef_x0 = self.betas * self.alpha_bar_before.sqrt() / (1 - self.alpha_bar)
        coef_xt = (1 - self.alpha_bar_before) * (1 - self.betas).sqrt() / (1 - self.alpha_bar)
        return coef_x0, coef_xt


_DERIVED: MutableMapping[Tensor, dict[Hashable, Any]] = WeakTensorKeyDictionary()
T = TypeVar("T")


def once(betas: Tensor, name: Hashable, make: Callable[[], T]) -> T:
    """A quantity derived from a noise table float64 [T], cached by name.

    Tables are identified by the tensor object, because comparing their content would synchronise with the device.
    """
    derived = _DERIVED.setdefault(betas, {})
    if name not in derived:
        derived[name] = make()
    found: T = derived[name]
    return found


def table_of(betas: Tensor) -> "Table":
    """The cached table of β float64 [T]."""
    return once(betas, "table", lambda: Table(betas))


def respaced(betas: Tensor, steps: int) -> tuple[list[int], Table]:
    """Select `steps` times of a table float64 [T], and compute the table of that shorter process (arXiv:2102.09672,
    §4).

    Times are spaced evenly from the first to the last; a single time is the last, which is almost pure noise.

    Raises:
        ValueError: if the table has fewer times.
    """
    if steps > len(betas):
        raise ValueError(f"{steps} steps were asked for along a table of {len(betas)} times; take at most {len(betas)}")
    stride = (len(betas) - 1) / max(1, steps - 1)
    times = [round(index * stride) for index in range(steps)] if steps > 1 else [len(betas) - 1]
    alpha_bar = Table(betas).alpha_bar[times]
    before = torch.cat([torch.ones_like(alpha_bar[:1]), alpha_bar[:-1]])
    return times, Table(1 - alpha_bar / before)


def interpolated(x: Tensor, knots: Tensor, values: Tensor) -> Tensor:
    """Values [M] at x [M] by linear interpolation between values [T] at increasing knots [T], extrapolated at both
    ends.
    """
    right = torch.searchsorted(knots, x).clamp(1, len(knots) - 1)
    left = right - 1
    share = (x - knots[left]) / (knots[right] - knots[left])
    return values[left] + share * (values[right] - values[left])


def learned_log_variance(value: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Log-variance between `low` (posterior) and `high` (β), elementwise, by a value in [−1, 1] (arXiv:2102.09672, Eq.
    15).
    """
    share = (value + 1) / 2
    return share * high + (1 - share) * low


def posterior_kl(error: Tensor, weight: Tensor, gap: Tensor) -> Tensor:
    """KL(q(x_{i−1} | x_i, x_0) ‖ p(x_{i−1} | x_i)) in nats, elementwise (arXiv:2006.11239, Eq. 12, with any variance).

    `error` is the square of what the predicted noise is off, and `weight` times that the square of what the mean is
    off, over the variance of q; `gap` is the log of the ratio of the variance of p to that of q.
    """
    return 0.5 * ((-gap).exp() * (1 + weight * error) + gap - 1)


def binned_log_likelihood(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Log p in nats, elementwise, of x in bins of width 2/255 under a Gaussian, with open outermost bins.

    It uses the tanh approximation of the normal distribution function, as the official code does.
    """
    centred, sharpness = x - mean, (-log_scale).exp()
    upper, lower = _normal_cdf(sharpness * torch.stack([centred + 1 / 255, centred - 1 / 255])).unbind()
    mass = torch.where(x < -0.999, upper, torch.where(x > 0.999, 1 - lower, upper - lower))
    return mass.clamp_min(1e-12).log()


def _normal_cdf(x: Tensor) -> Tensor:
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * torch.add(x, x**3, alpha=0.044715)))
