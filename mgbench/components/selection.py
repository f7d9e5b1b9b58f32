"""Choosing tokens: the k best of those allowed; and plans, which say how many tokens are masked after each step."""

import math
from collections.abc import Iterator

from torch import Tensor

from mgbench.kinds import MaskSchedule
from mgbench.steps import Step

SLACK = 1e-9


def lowest(scores: Tensor, allowed: Tensor, count: Tensor | int) -> Tensor:
    """True at the `count` ([B], or one for all rows) lowest scores [B,N] among the allowed [B,N] of each row."""
    ranks = scores.masked_fill(~allowed, math.inf).argsort(dim=-1, stable=True).argsort(dim=-1)
    limit = count[:, None] if isinstance(count, Tensor) else count
    return allowed & (ranks < limit)


def planned(schedule: MaskSchedule, tokens: int, times: Tensor) -> Iterator[Step]:
    """The plan of MaskGIT and MAR: at each time floor(N·γ) tokens stay masked, at least one fewer than before.

    The last step reveals all that is left. Where nothing can be revealed (more steps than tokens) the step is left out.
    """
    # N·γ may be a whole number, as with γ = 1/2, that floating point puts just below itself.
    counts = (schedule(times) * tokens + SLACK).floor().long().tolist()
    masked, total = tokens, len(times) - 1
    for index in range(total):
        then = 0 if index == total - 1 else max(1, min(masked - 1, counts[index + 1]))
        if then < masked:
            yield _counted(times, index, tokens, masked, then)
        masked = then


def counted(tokens: int, times: Tensor, masked: list[int]) -> Iterator[Step]:
    """A plan from how many tokens are masked at each time [T + 1]; steps that reveal nothing are left out."""
    for index in range(len(times) - 1):
        if masked[index + 1] < masked[index]:
            yield _counted(times, index, tokens, masked[index], masked[index + 1])


def _counted(times: Tensor, index: int, tokens: int, masked: int, then: int) -> Step:
    t, s = times[index].item(), times[index + 1].item()
    return Step(index, len(times) - 1, t, s, masked / tokens, then / tokens, reveal=masked - then)


def expected(schedule: MaskSchedule, times: Tensor) -> Iterator[Step]:
    """A plan in which every image draws its own counts: the share γ(t) is masked at each time on average.

    All is masked at first, whatever γ(1) is, and nothing in the end.
    """
    shares = [1.0, *schedule(times)[1:-1].tolist(), 0.0]
    for index in range(len(times) - 1):
        t, s = times[index].item(), times[index + 1].item()
        yield Step(index, len(times) - 1, t, s, shares[index], shares[index + 1])
