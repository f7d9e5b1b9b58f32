"""Small exact components for the masked process, over a joint distribution that is small enough to enumerate, so that
samples can be compared with true probabilities; see `mgbench.testing`.
"""

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from mgbench.interfaces.components import MaskSchedule, Parts, Teacher
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Asked, Drawn, Requires, SamplerInput, Step, guided
from mgbench.testing.noisy_toys import Euler


@dataclass(frozen=True, eq=False)
class Joint:
    """Joint distributions of images of a few codes, one per class: probabilities float64 [classes,K,…,K], one axis per
    token.
    """

    probabilities: Tensor

    @classmethod
    def example(cls, classes: int = 2, length: int = 3, codes: int = 3) -> "Joint":
        """An example in which tokens depend on each other and on the class."""
        generator = Generator().manual_seed(11)
        weights = torch.rand(classes, *[codes] * length, generator=generator, dtype=torch.float64) ** 3 + 0.02
        return cls(weights / weights.flatten(1).sum(1).reshape(-1, *[1] * length))

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.probabilities)

    @property
    def space(self) -> TokenSpace:
        """The token space."""
        length = self.probabilities.ndim - 1
        return TokenSpace(length, 1, codes=self.probabilities.shape[-1], grid=(1, length))

    @property
    def outcomes(self) -> Tensor:
        """All images int64 [O,N], in the order of the probabilities."""
        codes, length = self.probabilities.shape[-1], self.probabilities.ndim - 1
        return torch.tensor(list(itertools.product(range(codes), repeat=length)))

    def of(self, label: int) -> Tensor:
        """The probabilities [O] of all images of a class; the mean over classes for -1."""
        chosen = self.probabilities.mean(0) if label < 0 else self.probabilities[label]
        return chosen.flatten()

    def conditional(self, tokens: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        """Log p of every code of every token given the visible tokens, float64 [B,N,K]."""
        outcomes, codes = self.outcomes, self.probabilities.shape[-1]
        weights = torch.stack([self.of(label) for label in range(-1, self.classes)])[labels + 1]
        weights = weights * ((tokens[:, None] == outcomes) | mask[:, None]).all(-1)
        shares = torch.einsum("bo,onk->bnk", weights, nn.functional.one_hot(outcomes, codes).double())
        return (shares / weights.sum(1)[:, None, None]).log()

    def product(self, label: int) -> Tensor:
        """The probabilities [O] of all images if tokens were independent: the product of marginals."""
        outcomes = self.outcomes
        hidden = torch.zeros(1, outcomes.shape[1], dtype=torch.int64)
        margins = self.conditional(hidden, torch.ones_like(hidden, dtype=torch.bool), torch.tensor([label]))
        return margins[0].gather(1, outcomes.T).sum(0).exp()

    def excess(self, tokens: Tensor, law: int | Tensor) -> float:
        """Pearson's chi-square statistic of images [M,N] for probabilities [O], or those of a class, minus its mean, in
        standard deviations.

        It is about standard normal for true samples; above 6, samples have a different distribution.
        """
        codes, length = self.probabilities.shape[-1], self.probabilities.ndim - 1
        places = codes ** torch.arange(length - 1, -1, -1)
        seen = torch.bincount((tokens * places).sum(1), minlength=codes**length).double()
        expected = (self.of(law) if isinstance(law, int) else law) * len(tokens)
        freedom = len(expected) - 1
        chi_square = float(((seen - expected) ** 2 / expected).sum())
        return (chi_square - freedom) / math.sqrt(2 * freedom)


class _Oracle(nn.Module):
    """A network whose z are the logarithms of the true conditional probabilities: K numbers per token."""

    def __init__(self, joint: Joint) -> None:
        super().__init__()
        self.joint, self.width = joint, joint.probabilities.shape[-1]

    def forward(self, tokens: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        return self.joint.conditional(tokens, mask, labels)


@dataclass(frozen=True)
class OracleNetwork:
    """A network that knows the joint distribution."""

    joint: Joint

    def build(self, space: TokenSpace, classes: int) -> _Oracle:
        return _Oracle(self.joint)


class _OracleHead(nn.Module):
    """A head that reads log-probabilities from z; `shift` is 0, and only exists as a parameter."""

    def __init__(self, codes: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(codes, dtype=torch.float64))

    def forward(self, z: Tensor) -> Tensor:
        return torch.log_softmax(z + self.shift, -1)

    def loss(self, z: Tensor, values: Tensor, generator: Generator) -> Tensor:
        log_p: Tensor = self(z)
        # Impossible codes are left out, because their infinite loss would spread.
        return -log_p.clamp_min(-30).gather(-1, values[:, None]).squeeze(-1)

    def log_likelihood(self, z: Tensor, values: Tensor) -> Tensor:
        log_p: Tensor = self(z)
        return log_p.gather(-1, values[:, None]).squeeze(-1)

    def sample(
        self,
        z: Tensor,
        z_uncond: Tensor | None,
        scale: float,
        rng: Streams,
        parts: Parts,
        temperature: float = 1.0,
    ) -> Drawn:
        logits = self(z)
        if z_uncond is not None:
            logits = guided(logits, self(z_uncond), scale)
        log_p = torch.log_softmax(logits, -1)
        codes = (log_p + temperature * rng.gumbel(log_p.shape[-1])).argmax(-1)
        return Drawn(codes, log_p.gather(-1, codes[:, None]).squeeze(-1), logits)


@dataclass(frozen=True)
class OracleHead:
    """The head for `OracleNetwork`."""

    asks: ClassVar[tuple[str, ...]] = ()

    def build(self, space: TokenSpace, width: int) -> _OracleHead:
        return _OracleHead(width)


@dataclass(frozen=True)
class Line:
    """γ(t) = t."""

    def __call__(self, t: Tensor) -> Tensor:
        return t


@dataclass(frozen=True)
class Independent:
    """Mask each token with probability γ(t), and at least one."""

    def draw(self, schedule: MaskSchedule, batch: int, tokens: int, generator: Generator) -> tuple[Tensor, Tensor]:
        t = torch.rand(batch, generator=generator)
        scores = torch.rand(batch, tokens, generator=generator)
        return (scores < schedule(t)[:, None]) | (scores == scores.amin(1, keepdim=True)), t


@dataclass(frozen=True)
class Equal:
    """The mean over masked tokens."""

    def __call__(self, schedule: MaskSchedule, t: Tensor, mask: Tensor) -> Tensor:
        return mask.to(t.dtype) / mask.sum()


@dataclass(frozen=True)
class Evenly:
    """Equal steps from 1 to 0."""

    def __call__(self, steps: int) -> Tensor:
        return torch.linspace(1, 0, steps + 1, dtype=torch.float64)


@dataclass(frozen=True)
class OneByOne:
    """One random token per step, and all remaining tokens in the last."""

    requires: ClassVar[Requires] = "mask"

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        tokens, total = space.length, min(space.length, len(times) - 1)
        for index in range(total):
            left = tokens - index
            reveal = left if index == total - 1 else 1
            now, then = 1 - index / total, 1 - (index + 1) / total
            yield Step(index, total, now, then, left / tokens, (left - reveal) / tokens, reveal)

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        scores = rng.fold(step.index).uniform(view.mask.shape[1]).masked_fill(~view.mask, 2)
        ranks = scores.argsort(1).argsort(1)
        return view.mask & (ranks >= (step.reveal or 0))


@dataclass(frozen=True)
class AlwaysAsked:
    """No reuse of predictions."""

    def __call__(self, step: Step) -> Asked:
        return "all"


@dataclass(frozen=True)
class Unpushed:
    """No guidance: scale 1."""

    def __call__(self, step: Step) -> float:
        return 1.0


@dataclass(frozen=True)
class Scales:
    """A tokenizer stand-in with the side lengths of square grids of tokens, or none."""

    scales: tuple[int, ...] = ()


@dataclass(frozen=True)
class AsTheyAre:
    """The logits of the head, unchanged."""

    def __call__(self, logits: Tensor) -> Tensor:
        return logits


class _Taught(nn.Module):
    """A masked model whose network and head know the joint distribution."""

    def __init__(self, parts: Parts, space: TokenSpace, classes: int) -> None:
        super().__init__()
        self.network = parts.network.build(space, classes)
        self.head = parts.head.build(space, self.network.width)


def toy_teacher(parts: Parts, space: TokenSpace, classes: int) -> Teacher:
    """A frozen masked model of these components; for toys, one that knows the joint distribution."""
    return Teacher(_Taught(parts, space, classes).eval().requires_grad_(False), parts)


def toy_parts(joint: Joint, **others: object) -> Parts:
    """A toy for every kind that a process may ask for, over a joint distribution; `others` replace toys by kind."""
    toys = {
        "network": OracleNetwork(joint),
        "head": OracleHead(),
        "mask_schedule": Line(),
        "masking": Independent(),
        "loss_weighting": Equal(),
        "sampling_schedule": Line(),
        "time_grid": Evenly(),
        "sampler": OneByOne(),
        "reuse": AlwaysAsked(),
        "guidance_schedule": Unpushed(),
        "solver": Euler(),
        "code_draw": AsTheyAre(),
        "tokenizer": Scales(),
        "labels": True,
    }
    return Parts(**{**toys, **others})
