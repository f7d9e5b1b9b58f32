"""Building blocks of samplers: choosing tokens by score or at random, inverting schedules, and plans of sampling steps."""

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
    """A mask bool [B,N] of the `count` (int64 [B] or int) lowest scores float [B,N] among the `allowed` bool [B,N] in
    each row.
    """
    ranks = scores.masked_fill(~allowed, math.inf).argsort(dim=-1, stable=True).argsort(dim=-1)
    limit = count[:, None] if isinstance(count, Tensor) else count
    return allowed & (ranks < limit)


def in_random_order(view: SamplerInput, step: Step, rng: Streams) -> Tensor:
    """The mask bool [B,N] after revealing `step.reveal` tokens, in a random order drawn once for each image."""
    order = rng.uniform(view.mask.shape[1])
    return view.mask & ~lowest(order, view.mask, step.reveal or 0)


def jump(view: SamplerInput, step: Step, rng: Streams, reveal: float, again: Tensor | float = 0.0) -> Tensor:
    """The mask bool [B,N] after revealing each masked token with probability `reveal`, and masking each visible one
    again with probability `again` (float or [B,N]), independently.
    """
    coins = rng.fold(2).fold(step.index).uniform(view.mask.shape[1])
    return torch.where(view.mask, coins >= reveal, coins < again)


def share_revealed(step: Step) -> float:
    """1 − γ(s)/γ(t), the probability that masked diffusion reveals a masked token in a step."""
    return 1 - step.share_then / step.share_now if step.share_now else 1.0


def need_codes(sampler: str, space: TokenSpace) -> None:
    """Check that tokens are codes, which have probabilities.

    Raises:
        Unfit: if they are vectors.
    """
    if not space.codes:
        raise Unfit(
            f"{sampler} ranks codes by probability, and this tokenizer has none; take sampler=random_order or tokenizer=kmeans"
        )


def log_chances(view: SamplerInput) -> Tensor:
    """Log-probabilities of all codes, float64 [B,N,K].

    Raises:
        ValueError: if the view has no logits.
    """
    if view.logits is None:
        raise ValueError("ranking tokens by their probabilities needs the logits of a head of codes")
    return torch.log_softmax(view.logits, -1)


def inverse(schedule: MaskSchedule, shares: Tensor) -> Tensor:
    """The times float64 [B] at which γ(t) equals the shares [B]; 1 for shares above γ(1), and 0 for those below γ(0).

    Each round divides the interval that contains t into `parts` equal parts, to a final precision of parts^−rounds,
    10⁻¹³.
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
    """The plan of MaskGIT and MAR: at each of the times [T + 1], floor(N·γ) tokens stay masked, at least one fewer than
    before.

    The last step reveals all remaining tokens. With more steps than tokens, steps that reveal nothing are left out.
    """
    # Rounding may put an integer N·γ, such as for γ = 1/2, just below itself.
    counts = (schedule(times) * tokens + SLACK).floor().long().tolist()
    masked, total = tokens, len(times) - 1
    for index in range(total):
        then = 0 if index == total - 1 else max(1, min(masked - 1, counts[index + 1]))
        if then < masked:
            yield _counted(times, index, tokens, masked, then)
        masked = then


def counted(tokens: int, times: Tensor, masked: list[int]) -> Iterator[Step]:
    """A plan from the number of masked tokens at each time [T + 1]; steps that reveal nothing are left out."""
    for index in range(len(times) - 1):
        if masked[index + 1] < masked[index]:
            yield _counted(times, index, tokens, masked[index], masked[index + 1])


def _counted(times: Tensor, index: int, tokens: int, masked: int, then: int) -> Step:
    t, s = times[index].item(), times[index + 1].item()
    return Step(index, len(times) - 1, t, s, masked / tokens, then / tokens, reveal=masked - then)


def expected(schedule: MaskSchedule, times: Tensor) -> Iterator[Step]:
    """A plan without fixed counts: at each of the times [T + 1], the expected share of masked tokens is γ(t).

    Everything is masked at the start, whatever γ(1) is, and nothing at the end.
    """
    shares = [1.0, *schedule(times)[1:-1].tolist(), 0.0]
    for index in range(len(times) - 1):
        t, s = times[index].item(), times[index + 1].item()
        yield Step(index, len(times) - 1, t, s, shares[index], shares[index + 1])
