"""Choosing tokens: the k best of those allowed, and how many to reveal at each step."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from mgbench.kinds import MaskSchedule, Step

SLACK = 1e-9


def lowest(scores: Tensor, allowed: Tensor, count: Tensor | int) -> Tensor:
    """True at the `count` ([B], or one for all rows) lowest scores [B,N] among the allowed [B,N] of each row."""
    ranks = scores.masked_fill(~allowed, math.inf).argsort(dim=-1, stable=True).argsort(dim=-1)
    limit = count[:, None] if isinstance(count, Tensor) else count
    return allowed & (ranks < limit)


def planned(schedule: MaskSchedule, tokens: int, steps: int) -> Iterator[Step]:
    """The plan of MaskGIT and MAR: after step k of T, floor(N·γ(1 − k/T)) tokens stay masked, at least one fewer than before.

    The last step reveals all that is left. Where nothing can be revealed (more steps than tokens) the step is left out.
    """
    times = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    # N·γ may be a whole number, as with γ = 1/2, that floating point puts just below itself.
    shares = (schedule(times) * tokens + SLACK).floor().long().tolist()
    masked = tokens
    for index in range(steps):
        last = index == steps - 1
        then = 0 if last else max(1, min(masked - 1, shares[index + 1]))
        if then < masked:
            t, s = times[index].item(), times[index + 1].item()
            yield Step(index, steps, t, s, masked / tokens, then / tokens, reveal=masked - then)
        masked = then
