"""Samplers that rank tokens by the probabilities that the head gives their codes."""

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
    """Reveal where the likeliest code leads the second by most: p₁ − p₂ (Kim et al., arXiv:2502.06768)."""

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
    """Draw all, keep those of highest probability, mask those of low confidence again (LLaDA, arXiv:2502.09992).

    Without the noise of MaskGIT on the choice; codes are drawn at `temperature` instead (0: the likeliest, LLaDA's default),
    and ranked by p itself. The tokens are revealed in `blocks` equal blocks from first to last, each finished before the next.
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
        # A probability is at most 1, so whatever it is, no token passes one of an earlier block.
        return view.mask & ~lowest(block - view.log_p.exp(), view.mask, step.reveal or 0)


@dataclass(frozen=True)
class EntropyBounded:
    """As many tokens at once as are nearly independent (Ben-Hamu et al., arXiv:2505.24857).

    By ascending entropy H, the most tokens with ΣH − max H ≤ `budget` (in nats), which bounds how far their joint law is from
    the product they are drawn from; at least one, and in the last step all that are left. Every image has its own pace, so
    NFE is a mean over images; the schedule decides only the shares that guidance sees. A budget of 0 reveals one a step.
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
        # ΣH − max H of a prefix is the sum of all before its last.
        before = torch.cat([torch.zeros_like(ascending[:, :1]), ascending.cumsum(-1)[:, :-1]], -1)
        return view.mask & ~lowest(entropy, view.mask, (before <= self.budget).sum(-1))


@dataclass(frozen=True)
class Moment:
    """The same as MaskGIT in effect, positions first (Hayakawa et al., arXiv:2510.04525).

    With τ annealed as in MaskGIT and b = 1 + 1/τ, positions are drawn without replacement in proportion to Σ_v p(v)^b
    (Gumbel-top-k), then values in proportion to p^b. The last step takes all that are left, where MaskGIT's choice plays no
    part, and draws from p itself.
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
    """P2 with the model as its own planner: the floor(N·γ(s)) tokens of lowest score are masked, visible or not
    (Peng et al., arXiv:2502.03540).

    The score of a masked token is log p of the value just drawn, that of a visible one η·log p of its value, given all visible
    ones: η = 0 never masks again, η > 1 does so readily. The model should have learned to judge visible tokens, as it has
    where the loss runs over all tokens. Network and head look at all tokens in every step.
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
            # In between, equal counts still swap tokens.
            if now == then and then in (0, tokens):
                continue
            yield Step(index, total, times[index].item(), times[index + 1].item(), now / tokens, then / tokens)

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        if view.log_p is None:
            raise ValueError("p2 needs the log-probabilities of the values")
        # Finite, because 0·∞ is no number; and a visible token stays before a masked one of the same score.
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
