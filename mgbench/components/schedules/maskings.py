"""Maskings: the number and positions of masked tokens in each training image.

A masking draws a level in [0, 1) for every image, and converts it into a time or, as in MAR and AutoNAT, into the share
to mask. Common options:

- `draws`: the levels of a batch are independent ("independent"), stratified as u + i/B mod 1 ("antithetic", as in MDLM
and MD4),
or equal ("shared", as in the code of MAR and eMIGM).
- `t_min`, of maskings that draw times, excludes nearly clean images: times are drawn above it (`truncate`, as in
eMIGM's Eq. 7),
or raised to it (`clamp`, as in eMIGM's code, which affects a fifth of all draws for 0.2).
- `rounding`, of maskings with an exact number of tokens, rounds this number, which is at least 1.
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
    """Levels float32 [B], B = `count`, each uniform in [0, 1)."""
    drawn = torch.rand(count if draws == "independent" else 1, generator=generator, device=generator.device)
    if draws == "antithetic":
        return (drawn + torch.arange(count, device=drawn.device) / count).frac()
    return drawn.expand(count)


def truncated(levels: Tensor, t_min: float, truncation: Truncation) -> Tensor:
    """Times float [B] in [t_min, 1] of levels float [B]."""
    return {"truncate": t_min + (1 - t_min) * levels, "clamp": levels.clamp_min(t_min)}[truncation]


def exact_mask(shares: Tensor, tokens: int, rounding: Rounding, generator: Generator) -> Tensor:
    """A mask bool [B,N], N = `tokens`, at random positions, with the share float [B] of each row rounded to whole
    tokens.
    """
    counts = _ROUNDINGS[rounding](shares * tokens).clamp(1, tokens).long()
    return draw_positions(counts, tokens, generator)


def draw_positions(counts: Tensor, tokens: int, generator: Generator) -> Tensor:
    """A mask bool [B,N], N = `tokens`, with `counts` int64 [B] random positions in each row."""
    scores = torch.rand(len(counts), tokens, generator=generator, device=generator.device)
    return lowest(scores, torch.ones_like(scores, dtype=torch.bool), counts)


@dataclass(frozen=True)
class Exact:
    """Mask γ(t)·N tokens, rounded, at random positions, with one time per image: MaskGIT (arXiv:2202.04200)."""

    rounding: Rounding = "ceil"
    t_min: Share = 0.0
    truncation: Truncation = "truncate"
    draws: Draws = "independent"

    def draw(self, schedule: MaskSchedule, batch: int, tokens: int, generator: Generator) -> tuple[Tensor, Tensor]:
        t = truncated(draw_levels(batch, self.draws, generator), self.t_min, self.truncation)
        return exact_mask(schedule(t), tokens, self.rounding, generator), t


@dataclass(frozen=True)
class Bernoulli:
    """Mask each token independently with probability γ(t): the forward process of masked diffusion (MD4,
    arXiv:2406.04329).

    If fewer than `at_least` tokens of an image are drawn, that many are masked, because unmasked images do not
    contribute to the loss. A likelihood bound needs `at_least=0`, because the weight γ′/γ would overweight the added
    tokens.
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
    """Mask a share drawn from a normal distribution truncated to [low, high] (MAR, arXiv:2406.11838).

    The time is the one at which γ equals the share. The defaults are MAR's, which draws one share per batch
    (`draws=shared`); MAGE (arXiv:2211.09117) has mean 0.55, std 0.25, low 0.5 and high 1.
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
        """The standard normal distribution function Φ at a standardised share."""
        return 0.5 * math.erfc((self.mean - share) / (self.std * math.sqrt(2)))

    def draw(self, schedule: MaskSchedule, batch: int, tokens: int, generator: Generator) -> tuple[Tensor, Tensor]:
        levels = draw_levels(batch, self.draws, generator).double()
        chance = self._above(self.low) + levels * (self._above(self.high) - self._above(self.low))
        shares = (self.mean + self.std * torch.special.ndtri(chance)).clamp(self.low, self.high)
        return exact_mask(shares, tokens, self.rounding, generator), inverse(schedule, shares).float()


@dataclass(frozen=True)
class Beta:
    """Mask a share drawn from Beta(a, b); the time is the one at which γ equals it (AutoNAT, arXiv:2406.05478)."""

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
