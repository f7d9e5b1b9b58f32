"""How many tokens of each training image are masked, and which?

Every masking draws its times uniformly and may leave out the nearly clean ones: below `t_min` they are drawn again
(`truncate`, the reading of eMIGM's Eq. 7) or set to t_min (`clamp`, what its code does: a fifth of all draws for 0.2).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from mgbench.components.selection import lowest
from mgbench.hookspecs import hookimpl
from mgbench.kinds import MaskSchedule
from mgbench.spec import Share

Truncation = Literal["truncate", "clamp"]
Rounding = Literal["ceil", "round", "floor"]
_ROUNDINGS = {"ceil": torch.ceil, "round": torch.round, "floor": torch.floor}


def draw_times(count: int, t_min: float, truncation: Truncation, generator: Generator) -> Tensor:
    """Times float32 [count] in [t_min, 1]."""
    t = torch.rand(count, generator=generator, device=generator.device)
    return {"truncate": t_min + (1 - t_min) * t, "clamp": t.clamp_min(t_min)}[truncation]


def draw_positions(counts: Tensor, tokens: int, generator: Generator) -> Tensor:
    """A mask [B, tokens] with `counts` [B] positions of each row chosen at random."""
    scores = torch.rand(len(counts), tokens, generator=generator, device=generator.device)
    return lowest(scores, torch.ones_like(scores, dtype=torch.bool), counts)


@dataclass(frozen=True)
class Exact:
    """γ(t)·N tokens, rounded, at random positions: the masking of MaskGIT (arXiv:2202.04200), one time per image."""

    rounding: Rounding = "ceil"
    t_min: Share = 0.0
    truncation: Truncation = "truncate"

    def draw(self, schedule: MaskSchedule, batch: int, tokens: int, generator: Generator) -> tuple[Tensor, Tensor]:
        t = draw_times(batch, self.t_min, self.truncation, generator)
        counts = _ROUNDINGS[self.rounding](schedule(t) * tokens).clamp(1, tokens).long()
        return draw_positions(counts, tokens, generator), t


@dataclass(frozen=True)
class Bernoulli:
    """Each token with probability γ(t), independently: the forward process of masked diffusion (MD4, arXiv:2406.04329).

    A row in which nothing was drawn gets one masked token, since it would teach nothing.
    """

    t_min: Share = 0.0
    truncation: Truncation = "truncate"

    def draw(self, schedule: MaskSchedule, batch: int, tokens: int, generator: Generator) -> tuple[Tensor, Tensor]:
        t = draw_times(batch, self.t_min, self.truncation, generator)
        scores = torch.rand(batch, tokens, generator=generator, device=generator.device)
        counts = (scores < schedule(t)[:, None]).sum(1).clamp_min(1)
        return lowest(scores, torch.ones_like(scores, dtype=torch.bool), counts), t


@hookimpl
def mgbench_maskings() -> dict[str, type]:
    return {"exact": Exact, "bernoulli": Bernoulli}
