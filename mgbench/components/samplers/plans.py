"""Choosing tokens: the k best of those allowed, at random, or each by its own coin; when a share is masked; and plans, which say
how many tokens are masked after each step.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from mgbench.errors import Unfit
from mgbench.interfaces.components import MaskSchedule
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import SamplerInput, Step

SLACK = 1e-9


def lowest(scores: Tensor, allowed: Tensor, count: Tensor | int) -> Tensor:
    """True at the `count` ([B], or one for all rows) lowest scores [B,N] among the allowed [B,N] of each row."""
    ranks = scores.masked_fill(~allowed, math.inf).argsort(dim=-1, stable=True).argsort(dim=-1)
    limit = count[:, None] if isinstance(count, Tensor) else count
    return allowed & (ranks < limit)


def in_random_order(view: SamplerInput, step: Step, rng: Streams) -> Tensor:
    """The mask after revealing `step.reveal` tokens, in an order that is drawn once for each image."""
    order = rng.uniform(view.mask.shape[1])
    return view.mask & ~lowest(order, view.mask, step.reveal or 0)


def jump(view: SamplerInput, step: Step, rng: Streams, reveal: float, again: Tensor | float = 0.0) -> Tensor:
    """The mask [B,N] after every masked token was revealed with probability `reveal`, and every visible one masked again with
    probability `again` (of each token [B,N], or of all), independently.
    """
    coins = rng.fold(2).fold(step.index).uniform(view.mask.shape[1])
    return torch.where(view.mask, coins >= reveal, coins < again)


def share_revealed(step: Step) -> float:
    """1 − γ(s)/γ(t): the probability with which masked diffusion reveals a masked token in a step."""
    return 1 - step.share_then / step.share_now if step.share_now else 1.0


def need_codes(sampler: str, space: TokenSpace) -> None:
    """Refuse tokens that have no probabilities to rank them by.

    Raises:
        Unfit: if the tokens are vectors.
    """
    if not space.codes:
        raise Unfit(
            f"{sampler} ranks codes by probability, and this tokenizer has none; take sampler=random_order or tokenizer=kmeans"
        )


def log_chances(view: SamplerInput) -> Tensor:
    """Log p of every code of every token, float64 [B,N,K].

    Raises:
        ValueError: if the view shows no logits.
    """
    if view.logits is None:
        raise ValueError("ranking tokens by their probabilities needs the logits of a head of codes")
    return torch.log_softmax(view.logits, -1)


def inverse(schedule: MaskSchedule, shares: Tensor) -> Tensor:
    """The times float64 [B] with γ(t) = share: 1 for shares above γ(1), and 0 for those below γ(0).

    Each of the rounds looks at the interval that holds t in `parts` equal parts, so that t is known to parts^−rounds, 10⁻¹³.
    """
    parts, rounds = 128, 6
    low, width = torch.zeros_like(shares, dtype=torch.float64), 1.0
    inside = torch.arange(1, parts, dtype=torch.float64, device=shares.device) / parts
    for _ in range(rounds):
        below = schedule(low[:, None] + width * inside) < shares[:, None]
        width /= parts
        low = low + width * below.sum(1)
    high = low + width
    nearer = (schedule(high) - shares).abs() < (schedule(low) - shares).abs()
    return torch.where(nearer, high, low).clamp(0, 1)


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
