"""Di[M]O: one-step generation, distilled from a masked model (Zhu et al., arXiv:2503.15457).

A masked model that draws all tokens at once draws them independently. The student therefore starts from an image in
which a share `masked` of the tokens is masked and the others are random codes, and draws all tokens at once, so that
its distribution is a mixture over starts.

It is trained on its own images, masked again at random times: an auxiliary model learns the distribution of the
student's images, and a divergence compares it with the teacher's. The gradient of this divergence with respect to the
logits of the auxiliary model replaces that of the student (arXiv:2503.15457, Eq. 9). Student and auxiliary model start
from the weights of the teacher, so all three have the same network and head.

The gradient is accurate only while the auxiliary model follows the student. On a distribution of three tokens, the
error fell from 0.35 (independent tokens) to 0.14 with 20 times the student's learning rate for the auxiliary model, and
did not fall with an equal rate; hence `auxiliary_rate`.

Differences from the paper: no Gaussian noise on the initial embeddings, for which networks have no input here; student
and auxiliary model are updated together, not alternately.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from mgbench.components.processes.distilled import (
    LogitsOf,
    begin_as,
    check_codes,
    check_same,
    drawn_from,
    taught_log_p,
)
from mgbench.errors import Unfit
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.bibtex import by_key
from mgbench.interfaces.components import HeadModule, Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.modules import NetworkModule
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Request, State
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.spec import Positive, Share


class OneStepModel(LogitsOf):
    """The student and the auxiliary model, which is used only in training; `codes` is the number of codes."""

    def __init__(self, network: NetworkModule, head: HeadModule, codes: int) -> None:
        super().__init__(network, head)
        self.auxiliary, self.codes = LogitsOf(copy.deepcopy(network), copy.deepcopy(head)), codes


@dataclass(frozen=True)
class OneStep:
    """One-step generation from mask tokens (a share `masked`) and random codes, distilled from a teacher
    (arXiv:2503.15457).

    `reverse` is the share β of the reverse divergence in (1 − β)·KL(teacher‖student) + β·KL(student‖teacher).
    `guidance` is the scale at which the teacher is guided, which costs nothing in sampling. The learning rate of the
    auxiliary model is `auxiliary_rate` times the student's.
    """

    masked: Share = 0.6
    reverse: Share = 0.0
    guidance: Positive = 1.0
    auxiliary_rate: Positive = 20.0
    asks: ClassVar[tuple[str, ...]] = ("network", "head", "mask_schedule", "masking")
    ignores: ClassVar[tuple[str, ...]] = ("sampling_steps",)
    needs_teacher: ClassVar[bool] = True

    @property
    def rates(self) -> Mapping[str, float]:
        return {"auxiliary": self.auxiliary_rate}

    def check(self, parts: Parts, space: TokenSpace) -> None:
        check_codes("one_step", space)
        if self.guidance != 1 and not parts.labels:
            raise Unfit("guidance needs labels, and this model has none; leave out guidance or labels=False")

    def check_teacher(self, parts: Parts, taught_by: Parts) -> None:
        check_same("one_step", parts, taught_by)

    def build(self, parts: Parts, space: TokenSpace, classes: int) -> OneStepModel:
        network = parts.network.build(space, classes)
        return OneStepModel(network, parts.head.build(space, network.width), space.codes or 0)

    def begin(self, model: OneStepModel, parts: Parts) -> None:
        """Copy the weights of the teacher to the student and the auxiliary model."""
        begin_as(parts.teacher.model, model, model.auxiliary)

    def loss(self, model: OneStepModel, parts: Parts, tokens: Tensor, labels: Tensor, generator: Generator) -> Tensor:
        """A scalar whose gradient is that of Di[M]O for the student, plus the cross-entropy in nats of the auxiliary
        model.

        Only the labels int64 [B] and the shape of the tokens int64 [B,N] are used.
        """
        uniform = torch.rand(2, *tokens.shape, generator=generator, device=tokens.device)
        logits = model(*_start(uniform, model.codes, self.masked), labels)
        with torch.no_grad():
            drawn = drawn_from(logits, generator)
            hidden, _ = parts.masking.draw(parts.mask_schedule, len(tokens), tokens.shape[1], generator)
            wanted = taught_log_p(parts.teacher.model, drawn, hidden, labels, self.guidance)
        known: Tensor = model.auxiliary(drawn, hidden, labels).log_softmax(-1)
        cross_entropy = -known.gather(-1, drawn[..., None]).squeeze(-1)[hidden].mean()
        slope = self.slope(wanted, known.detach())[hidden]
        # Only the gradient of the first term matters: with respect to the student's logits it is the slope.
        moved: Tensor = (slope * logits[hidden]).sum(-1).mean() + cross_entropy
        return moved.float()

    def slope(self, wanted: Tensor, known: Tensor) -> Tensor:
        """The gradient [B,N,K] of the divergence in the auxiliary logits, from log p of teacher and auxiliary model,
        [B,N,K] each.
        """
        p, q = wanted.exp(), known.exp()
        excess = known - wanted
        backward = q * (excess - (q * excess).sum(-1, keepdim=True))
        return (1 - self.reverse) * (q - p) + self.reverse * backward

    def sample(self, model: OneStepModel, parts: Parts, space: TokenSpace, request: Request) -> Iterator[State]:
        """Yield the finished images, tokens int64 [B,N], after one evaluation."""
        uniform = _streams(request, space, 0).uniform(2).movedim(-1, 0)
        logits = model(*_start(uniform, model.codes, self.masked), request.labels).double()
        logits = parts.code_draw(logits.flatten(0, 1)).reshape(logits.shape)
        noise = _streams(request, space, 1).gumbel(model.codes)
        tokens = (logits.log_softmax(-1) + noise).argmax(-1)
        yield State(tokens, torch.zeros_like(tokens, dtype=torch.bool))


def _start(uniform: Tensor, codes: int, masked: float) -> tuple[Tensor, Tensor]:
    """Random codes int64 [B,N] and a mask bool [B,N], from two uniform numbers per token [2,B,N]."""
    return (uniform[0] * codes).long(), uniform[1] < masked


def _streams(request: Request, space: TokenSpace, purpose: int) -> Streams:
    places = torch.arange(space.length, device=request.labels.device)
    return request.images.fold(purpose)[:, None].fold(places)


# Codes, network, head and masks of its teacher; a low learning rate, because training starts from trained weights (on
# digits after 400 steps, FID is 3.50 with 3e-4 and 4.15 with 1e-4, on one seed).
DIMO = Recipe.of(
    process="one_step",
    teacher="maskgit",
    tokenizer="kmeans(codes=128, size=2)",
    network="transformer",
    head="categorical(label_smoothing=0.1)",
    mask_schedule="cosine",
    masking="exact(rounding=ceil)",
    train_steps=1800,
    learning_rate=3e-4,
    ema=0.998,
)

BIBTEX = r"""
@misc{zhu2025dimo,
  title = {{Di[M]O}: Distilling Masked Diffusion Models into One-step Generator},
  author = {Zhu, Yuanzhi and Wang, Xi and Lathuili{\`e}re, St{\'e}phane and Kalogeiton, Vicky},
  year = {2025},
  eprint = {2503.15457},
  archivePrefix = {arXiv},
}
"""


@hookimpl
def mgbench_processes() -> dict[str, type]:
    return {"one_step": OneStep}


@hookimpl
def mgbench_recipes() -> dict[str, Recipe]:
    return {"dimo": DIMO}


@hookimpl
def mgbench_references() -> dict[str, str]:
    return by_key(BIBTEX)
