"""Maskings: how many tokens of each training image are masked, and which.

A masking begins with a level in [0, 1) for every image, and makes of it a time or, in MAR's and AutoNAT's way, the share to mask
itself. What the maskings have in common are options:

- `draws`: the levels of a batch are drawn one by one ("independent"), are u + i/B mod 1 and so cover [0, 1) evenly ("antithetic",
  as MDLM and MD4 train), or are one and the same ("shared", as in MAR's and eMIGM's code).
- `t_min`, of those that draw times, leaves nearly clean images out: times are drawn above it only (`truncate`, the reading of
  eMIGM's Eq. 7) or set to it where they are below (`clamp`, what its code does: a fifth of all draws for 0.2).
- `rounding`, of those that mask an exact number of tokens, makes it whole; it is at least 1.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from scipy import special
from torch import Generator, Tensor

from mgbench.components.samplers.plans import inverse, lowest
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import MaskSchedule
from mgbench.recipes.spec import Index, Positive, Share

Draws = Literal["independent", "antithetic", "shared"]
Truncation = Literal["truncate", "clamp"]
Rounding = Literal["ceil", "round", "floor"]
_ROUNDINGS = {"ceil": torch.ceil, "round": torch.round, "floor": torch.floor}


def draw_levels(count: int, draws: Draws, generator: Generator) -> Tensor:
    """Levels float32 [count], each uniform in [0, 1)."""
    drawn = torch.rand(count if draws == "independent" else 1, generator=generator, device=generator.device)
    if draws == "antithetic":
        return (drawn + torch.arange(count, device=drawn.device) / count).frac()
    return drawn.expand(count)


def truncated(levels: Tensor, t_min: float, truncation: Truncation) -> Tensor:
    """Times float [B] in [t_min, 1] of levels float [B]."""
    return {"truncate": t_min + (1 - t_min) * levels, "clamp": levels.clamp_min(t_min)}[truncation]


def exact_mask(shares: Tensor, tokens: int, rounding: Rounding, generator: Generator) -> Tensor:
    """A mask bool [B, tokens] with the share float [B] of every row, rounded to a whole number of tokens, at random positions."""
    counts = _ROUNDINGS[rounding](shares * tokens).clamp(1, tokens).long()
    return draw_positions(counts, tokens, generator)


def draw_positions(counts: Tensor, tokens: int, generator: Generator) -> Tensor:
    """A mask bool [B, tokens] with `counts` int64 [B] positions of each row chosen at random."""
    scores = torch.rand(len(counts), tokens, generator=generator, device=generator.device)
    return lowest(scores, torch.ones_like(scores, dtype=torch.bool), counts)


@dataclass(frozen=True)
class Exact:
    """γ(t)·N tokens, rounded, at random positions: the masking of MaskGIT (arXiv:2202.04200), one time per image."""

    rounding: Rounding = "ceil"
    t_min: Share = 0.0
    truncation: Truncation = "truncate"
    draws: Draws = "independent"

    def draw(self, schedule: MaskSchedule, batch: int, tokens: int, generator: Generator) -> tuple[Tensor, Tensor]:
        t = truncated(draw_levels(batch, self.draws, generator), self.t_min, self.truncation)
        return exact_mask(schedule(t), tokens, self.rounding, generator), t


@dataclass(frozen=True)
class Bernoulli:
    """Each token with probability γ(t), independently: the forward process of masked diffusion (MD4, arXiv:2406.04329).

    Where fewer than `at_least` tokens of an image were drawn, that many are masked, since an image without one teaches nothing.
    A bound on the likelihood needs `at_least=0`: the weight γ′/γ would count what was added far too much.
    """

    t_min: Share = 0.0
    truncation: Truncation = "truncate"
    draws: Draws = "independent"
    at_least: Index = 1

    def draw(self, schedule: MaskSchedule, batch: int, tokens: int, generator: Generator) -> tuple[Tensor, Tensor]:
        t = truncated(draw_levels(batch, self.draws, generator), self.t_min, self.truncation)
        scores = torch.rand(batch, tokens, generator=generator, device=generator.device)
        counts = (scores < schedule(t)[:, None]).sum(1).clamp_min(self.at_least)
        return lowest(scores, torch.ones_like(scores, dtype=torch.bool), counts), t


@dataclass(frozen=True)
class TruncNorm:
    """A share drawn from a normal law cut off outside [low, high], and the time at which γ is that share.

    The defaults are those of MAR (arXiv:2406.11838), which draws one share a batch (`draws=shared`); MAGE (arXiv:2211.09117) has
    mean 0.55, std 0.25, low 0.5 and high 1.
    """

    mean: float = 1.0
    std: Positive = 0.25
    low: Share = 0.7
    high: Share = 1.0
    rounding: Rounding = "ceil"
    draws: Draws = "independent"

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high})")
        if not self._above(self.low) < self._above(self.high):
            raise ValueError(f"[{self.low}, {self.high}] lies too far from mean ({self.mean}) to draw from")

    def _above(self, share: float) -> float:
        """Φ of a share."""
        return 0.5 * math.erfc((self.mean - share) / (self.std * math.sqrt(2)))

    def draw(self, schedule: MaskSchedule, batch: int, tokens: int, generator: Generator) -> tuple[Tensor, Tensor]:
        levels = draw_levels(batch, self.draws, generator).double()
        chance = self._above(self.low) + levels * (self._above(self.high) - self._above(self.low))
        shares = (self.mean + self.std * torch.special.ndtri(chance)).clamp(self.low, self.high)
        return exact_mask(shares, tokens, self.rounding, generator), inverse(schedule, shares).float()


@dataclass(frozen=True)
class Beta:
    """A share drawn from Beta(a, b), and the time at which γ is that share: AutoNAT's masking (arXiv:2406.05478)."""

    a: Positive = 12.0
    b: Positive = 3.0
    rounding: Rounding = "round"
    draws: Draws = "independent"

    def draw(self, schedule: MaskSchedule, batch: int, tokens: int, generator: Generator) -> tuple[Tensor, Tensor]:
        levels = draw_levels(batch, self.draws, generator).double()
        shares = torch.from_numpy(special.betaincinv(self.a, self.b, levels.cpu().numpy())).to(levels.device)
        return exact_mask(shares, tokens, self.rounding, generator), inverse(schedule, shares).float()


@hookimpl
def mgbench_maskings() -> dict[str, type]:
    return {"exact": Exact, "bernoulli": Bernoulli, "truncnorm": TruncNorm, "beta": Beta}
