"""Small exact models: every question of the masked process answered in a few lines, over a joint distribution so small
that every probability is known. What is sampled with them can be held to the truth; see `mgbench.testing`.
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
    """The law of images of a few codes, one for each class: probabilities float64 [classes, K, …, K], one axis a token."""

    probabilities: Tensor

    @classmethod
    def example(cls, classes: int = 2, length: int = 3, codes: int = 3) -> "Joint":
        """Tokens that depend on each other and on the class."""
        generator = Generator().manual_seed(11)
        weights = torch.rand(classes, *[codes] * length, generator=generator, dtype=torch.float64) ** 3 + 0.02
        return cls(weights / weights.flatten(1).sum(1).reshape(-1, *[1] * length))

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.probabilities)

    @property
    def space(self) -> TokenSpace:
        """The tokens of its images."""
        length = self.probabilities.ndim - 1
        return TokenSpace(length, 1, codes=self.probabilities.shape[-1], grid=(1, length))

    @property
    def outcomes(self) -> Tensor:
        """All images int64 [O,N], in the order in which the probabilities lie."""
        codes, length = self.probabilities.shape[-1], self.probabilities.ndim - 1
        return torch.tensor(list(itertools.product(range(codes), repeat=length)))

    def of(self, label: int) -> Tensor:
        """The probability [O] of every image of a class; the mean over all classes for -1."""
        chosen = self.probabilities.mean(0) if label < 0 else self.probabilities[label]
        return chosen.flatten()

    def conditional(self, tokens: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        """Log p of every code of every token, given the visible ones: float64 [B,N,K]."""
        outcomes, codes = self.outcomes, self.probabilities.shape[-1]
        weights = torch.stack([self.of(label) for label in range(-1, self.classes)])[labels + 1]
        weights = weights * ((tokens[:, None] == outcomes) | mask[:, None]).all(-1)
        shares = torch.einsum("bo,onk->bnk", weights, nn.functional.one_hot(outcomes, codes).double())
        return (shares / weights.sum(1)[:, None, None]).log()

    def product(self, label: int) -> Tensor:
        """The probability [O] of every image if its tokens were independent: the product of their margins."""
        outcomes = self.outcomes
        hidden = torch.zeros(1, outcomes.shape[1], dtype=torch.int64)
        margins = self.conditional(hidden, torch.ones_like(hidden, dtype=torch.bool), torch.tensor([label]))
        return margins[0].gather(1, outcomes.T).sum(0).exp()

    def excess(self, tokens: Tensor, law: int | Tensor) -> float:
        """How far images [M,N] lie from a law [O], or that of a class: Pearson's chi-square, in its standard deviations above
        its mean.

        About standard normal for true samples; above 6 they are not of this law.
        """
        codes, length = self.probabilities.shape[-1], self.probabilities.ndim - 1
        places = codes ** torch.arange(length - 1, -1, -1)
        seen = torch.bincount((tokens * places).sum(1), minlength=codes**length).double()
        expected = (self.of(law) if isinstance(law, int) else law) * len(tokens)
        freedom = len(expected) - 1
        chi_square = float(((seen - expected) ** 2 / expected).sum())
        return (chi_square - freedom) / math.sqrt(2 * freedom)


class _Oracle(nn.Module):
    """z is the logarithm of the true conditional probabilities: K numbers a token."""

    def __init__(self, joint: Joint) -> None:
        super().__init__()
        self.joint, self.width = joint, joint.probabilities.shape[-1]

    def forward(self, tokens: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        return self.joint.conditional(tokens, mask, labels)


@dataclass(frozen=True)
class OracleNetwork:
    """A network that knows the joint law."""

    joint: Joint

    def build(self, space: TokenSpace, classes: int) -> _Oracle:
        return _Oracle(self.joint)


class _OracleHead(nn.Module):
    """Reads log-probabilities from z; `shift`, which is 0, is there to be trained."""

    def __init__(self, codes: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(codes, dtype=torch.float64))

    def forward(self, z: Tensor) -> Tensor:
        return torch.log_softmax(z + self.shift, -1)

    def loss(self, z: Tensor, values: Tensor, generator: Generator) -> Tensor:
        log_p: Tensor = self(z)
        # A code that cannot be is no lesson, and its infinity would spread.
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
    """The head that goes with `OracleNetwork`."""

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
    """Each token masked with probability γ(t); one more where there would be none."""

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
    """One token a step, at random; in the last step all that are left."""

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
    """Nothing is kept from one step to the next."""

    def __call__(self, step: Step) -> Asked:
        return "all"


@dataclass(frozen=True)
class Unpushed:
    """Scale 1."""

    def __call__(self, step: Step) -> float:
        return 1.0


@dataclass(frozen=True)
class Scales:
    """Says of the tokens in which square grids, one after the other, they lie; in none if there are no sides."""

    scales: tuple[int, ...] = ()


@dataclass(frozen=True)
class AsTheyAre:
    """The logits of the head."""

    def __call__(self, logits: Tensor) -> Tensor:
        return logits


class _Taught(nn.Module):
    """A trained masked model: a network and a head that know the joint law."""

    def __init__(self, parts: Parts, space: TokenSpace, classes: int) -> None:
        super().__init__()
        self.network = parts.network.build(space, classes)
        self.head = parts.head.build(space, self.network.width)


def toy_teacher(parts: Parts, space: TokenSpace, classes: int) -> Teacher:
    """A trained masked model of these parts, frozen; of toys, one that knows the joint law."""
    return Teacher(_Taught(parts, space, classes).eval().requires_grad_(False), parts)


def toy_parts(joint: Joint, **others: object) -> Parts:
    """All that a process may ask, over a joint law; `others` take the place of toys, by kind."""
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
