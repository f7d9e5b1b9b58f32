"""Samplers that rank tokens by the probabilities of their codes."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mgbench.components.samplers.plans import SLACK, expected, log_chances, lowest, need_codes, planned
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import MaskSchedule, Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Requires, SamplerInput, Step
from mgbench.recipes.spec import Count, NotNegative, Positive


@dataclass(frozen=True)
class Margin:
    """Reveal the tokens with the largest margin p₁ − p₂ between the two most likely codes (Kim et al.,
    arXiv:2502.06768).
    """

    requires: ClassVar[Requires] = "logits"

    def check(self, parts: Parts, space: TokenSpace) -> None:
        need_codes("margin", space)

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        return planned(schedule, space.length, times)

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        best = log_chances(view).exp().topk(min(2, view.space.codes or 0), -1).values
        lead = best[..., 0] - best[..., 1:].sum(-1)
        return view.mask & ~lowest(-lead, view.mask, step.reveal or 0)


@dataclass(frozen=True)
class LowConfidence:
    """Draw all masked tokens, keep those of highest probability, and mask the others again (LLaDA, arXiv:2502.09992).

    Unlike MaskGIT, ranking has no noise; codes are drawn at `temperature` (0: the most likely code, LLaDA's default)
    and ranked by p. Tokens are revealed in `blocks` equal consecutive blocks, each completed before the next.
    """

    temperature: NotNegative = 1.0
    blocks: Count = 1
    requires: ClassVar[Requires] = "values"

    def check(self, parts: Parts, space: TokenSpace) -> None:
        need_codes("low_confidence", space)

    def value_temperature(self, step: Step) -> float:
        return self.temperature

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        return planned(schedule, space.length, times)

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        if view.log_p is None:
            raise ValueError("low_confidence needs the log-probabilities of the values")
        tokens = view.mask.shape[1]
        block = torch.arange(tokens, device=view.mask.device) * self.blocks // tokens
        # Probabilities are at most 1, so no token ranks above one of an earlier block.
        return view.mask & ~lowest(block - view.log_p.exp(), view.mask, step.reveal or 0)


@dataclass(frozen=True)
class EntropyBounded:
    """Reveal as many nearly independent tokens as an entropy budget allows (EB-Sampler, Ben-Hamu et al.,
    arXiv:2505.24857).

    In order of increasing entropy H, the largest number of tokens with ΣH − max H ≤ `budget` (in nats), which bounds
    the divergence between their joint distribution and the product that they are drawn from; at least one, and in the
    last step all. The number differs between images, so NFE is a mean over images; the schedule only gives the shares
    that guidance uses. A budget of 0 reveals one token per step.
    """

    budget: NotNegative = 0.5
    requires: ClassVar[Requires] = "logits"

    def check(self, parts: Parts, space: TokenSpace) -> None:
        need_codes("entropy_bounded", space)

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        return expected(schedule, times)

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        if step.share_then == 0 or not view.mask.any():
            return torch.zeros_like(view.mask)
        entropy = torch.special.entr(log_chances(view).exp()).sum(-1)
        ascending = entropy.masked_fill(~view.mask, math.inf).sort(-1).values
        # ΣH − max H of a prefix is the sum without its last element.
        before = torch.cat([torch.zeros_like(ascending[:, :1]), ascending.cumsum(-1)[:, :-1]], -1)
        return view.mask & ~lowest(entropy, view.mask, (before <= self.budget).sum(-1))


@dataclass(frozen=True)
class Moment:
    """The moment sampler, equivalent to MaskGIT but with positions chosen first (Hayakawa et al., arXiv:2510.04525).

    With τ annealed as in MaskGIT and b = 1 + 1/τ, positions are drawn without replacement in proportion to Σ_v p(v)^b
    (Gumbel-top-k), then values in proportion to p^b. The last step reveals all remaining tokens, and draws from p.
    """

    temperature: Positive = 4.5
    requires: ClassVar[Requires] = "logits"

    def check(self, parts: Parts, space: TokenSpace) -> None:
        need_codes("moment", space)

    def _power(self, step: Step) -> float:
        if step.share_then == 0:
            return 1.0
        return 1 + 1 / (self.temperature * (1 - (step.index + 1) / step.total))

    def value_temperature(self, step: Step) -> float:
        return 1 / self._power(step)

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        return planned(schedule, space.length, times)

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        moments = (self._power(step) * log_chances(view)).logsumexp(-1)
        noise = rng.fold(2).fold(step.index).gumbel(view.mask.shape[1])
        return view.mask & ~lowest(-(moments + noise), view.mask, step.reveal or 0)


@dataclass(frozen=True)
class PathPlanning:
    """P2 with self-planning: the floor(N·γ(s)) tokens with the lowest scores are masked, visible ones included (Peng et
    al., arXiv:2502.03540).

    The score of a masked token is log p of the value just drawn, and that of a visible one is η·log p of its value
    given all visible tokens: η = 0 never masks again, large η does so often. The model should be trained on visible
    tokens too, with a loss over all tokens. Network and head are evaluated for all tokens in every step.
    """

    eta: NotNegative = 1.0
    requires: ClassVar[Requires] = "everything"

    def check(self, parts: Parts, space: TokenSpace) -> None:
        need_codes("p2", space)

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        tokens, total = space.length, len(times) - 1
        counts = (schedule(times[1:-1]) * tokens + SLACK).floor().long().tolist()
        masked = [tokens, *counts, 0]
        for index in range(total):
            now, then = masked[index], masked[index + 1]
            # Steps with unchanged counts can still exchange tokens.
            if now == then and then in (0, tokens):
                continue
            yield Step(index, total, times[index].item(), times[index + 1].item(), now / tokens, then / tokens)

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        if view.log_p is None:
            raise ValueError("p2 needs the log-probabilities of the values")
        # Finite, because 0·∞ is NaN; and of equal scores, visible tokens are kept.
        log_p = view.log_p.clamp_min(torch.finfo(view.log_p.dtype).min)
        scores = torch.where(view.mask, log_p, self.eta * log_p + SLACK)
        return lowest(scores, torch.ones_like(view.mask), round(step.share_then * view.mask.shape[1]))


@hookimpl
def mgbench_samplers() -> dict[str, type]:
    return {
        "margin": Margin,
        "low_confidence": LowConfidence,
        "entropy_bounded": EntropyBounded,
        "moment": Moment,
        "p2": PathPlanning,
    }
