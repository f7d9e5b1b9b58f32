"""VAR: predict the next scale, all of its tokens at once (Tian et al., arXiv:2404.02905).

What differs from masked generation: the order is fixed by the tokenizer, coarse to fine, so there is no mask, no schedule of
masks and no sampler, and sampling takes as many steps as there are scales, whatever `sampling_steps` says. A token is seen
by its own scale and the finer ones (block-causal attention), so that one pass trains all scales at once. Differences from
the paper's code: the transformer sees the codes by a learned embedding, not by the entries of the codebook; queries and
keys are not normalised; and the tokenizer is the quantiser alone, on patches of pixels
(`mgbench.components.tokenizers.multiscale`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from mgbench.components.networks.blocks import (
    AdaptiveBlock,
    AdaptiveExit,
    Cache,
    LabelEmbedding,
    check_heads,
    close,
    initialise,
    positions,
)
from mgbench.components.schedules.guidance_schedules import advise_label_drop, scale_of
from mgbench.components.tokenizers.multiscale import grow, shrink
from mgbench.errors import Unfit
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.bibtex import by_key
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import UNLABELLED, TokenSpace
from mgbench.interfaces.optional import scales
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Request, State, Step, guided
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.spec import Count, Share


def ends(scales: tuple[int, ...]) -> list[int]:
    """How many tokens there are up to the end of each scale."""
    return torch.tensor([side**2 for side in scales]).cumsum(0).tolist()


def block_causal(scales: tuple[int, ...]) -> Tensor:
    """Who sees whom, bool [N,N]: a token sees those of its own scale and of the coarser ones."""
    level = torch.repeat_interleave(torch.arange(len(scales)), torch.tensor([side**2 for side in scales]))
    return level[:, None] >= level


def carried(scales: tuple[int, ...]) -> Tensor:
    """How much of every token is in the picture so far that a place of a finer scale starts from: [N,N], D_k U_j in blocks."""
    last, rows = scales[-1], []
    for side in scales:
        row = [_resized(before, last, side) if before < side else torch.zeros(side**2, before**2) for before in scales]
        rows.append(torch.cat(row, 1))
    return torch.cat(rows)


def _resized(before: int, last: int, side: int) -> Tensor:
    """The matrix [side²,before²] that grows a grid to the last scale and shrinks it again."""
    each = torch.eye(before**2).reshape(-1, 1, before, before)
    return shrink(grow(each, last), side).flatten(1).T


class VAR(nn.Module):
    """A transformer of scales. What a place starts from is the sum of all coarser scales, resized to the scale it is in."""

    carried: Tensor
    seen: Tensor

    def __init__(self, options: "NextScale", scales: tuple[int, ...], codes: int, classes: int) -> None:
        super().__init__()
        width = options.width
        self.ends = ends(scales)
        self.embed = nn.Embedding(codes, width)
        self.label = LabelEmbedding(classes, width)
        self.unlabelled = nn.Parameter(0.02 * torch.randn(width))
        self.drop = nn.Dropout(options.dropout)
        # One for each place of each scale, so none for each scale.
        self.positions = positions(self.ends[-1], width)
        self.blocks = nn.ModuleList(AdaptiveBlock(width, options.heads, options.dropout) for _ in range(options.depth))
        self.exit = AdaptiveExit(width, codes)
        self.register_buffer("carried", carried(scales), persistent=False)
        self.register_buffer("seen", block_causal(scales), persistent=False)
        self.apply(initialise).apply(close)

    def forward(self, codes: Tensor, labels: Tensor, cache: Cache | None = None) -> Tensor:
        """Logits [B,N',K] of the scales known, by their codes int64 [B,M], and of the next one; labels int64 [B].

        With a `cache` only of those scales that have not gone through with it before.
        """
        known, first = codes.shape[1], 0 if cache is None else cache.length
        end = next(end for end in self.ends if end > known)
        label = self.label(labels, self.unlabelled)
        x = self.carried[first:end, :known] @ self.drop(self.embed(codes)) + self.positions[:, first:end]
        if not first:
            # The first scale has nothing to start from but the label.
            x = torch.cat([x[:, :1] + label[:, None], x[:, 1:]], 1)
        condition = functional.silu(label)
        for block in self.blocks:
            x = block(x, condition, self.seen[None, first:end, :end], cache)
        logits: Tensor = self.exit(x, condition)
        return logits


class NextScaleModel(nn.Module):
    """All there is to train is the network."""

    def __init__(self, network: VAR) -> None:
        super().__init__()
        self.network = network


@dataclass(frozen=True)
class NextScale:
    """The codes of each scale given the coarser ones, drawn together; a share `label_drop` is trained without its label.

    Time falls by 1 / scales in each step of sampling. VAR's guidance, t = cfg·k/(S − 1) in (1 + t)·c − t·u, is a scale that
    rises evenly from 1 to 1 + cfg.
    """

    width: Count = 64
    depth: Count = 4
    heads: Count = 4
    dropout: Share = 0.0
    label_drop: Share = 0.1
    asks: ClassVar[tuple[str, ...]] = ("guidance_schedule", "code_draw")
    ignores: ClassVar[tuple[str, ...]] = ("sampling_steps",)

    def __post_init__(self) -> None:
        check_heads(self.width, self.heads)

    def check(self, parts: Parts, space: TokenSpace) -> None:
        if not space.codes or not scales(parts.tokenizer):
            raise Unfit("the next scale needs codes that lie in scales; take tokenizer=multiscale")

    def advise(self, parts: Parts, space: TokenSpace) -> tuple[str, ...]:
        return advise_label_drop(parts, self.label_drop)

    def build(self, parts: Parts, space: TokenSpace, classes: int) -> NextScaleModel:
        if space.codes is None:
            raise ValueError("the next scale needs a tokenizer with codes")
        return NextScaleModel(VAR(self, scales(parts.tokenizer), space.codes, classes))

    def loss(self, model: NextScaleModel, parts: Parts, tokens: Tensor, labels: Tensor, generator: Generator) -> Tensor:
        """The mean cross-entropy in nats over the tokens of all scales."""
        dropped = torch.rand(labels.shape, generator=generator, device=labels.device) < self.label_drop
        return _surprise(model, parts, tokens, labels.masked_fill(dropped, UNLABELLED)).mean()

    def bound(
        self,
        model: NextScaleModel,
        parts: Parts,
        space: TokenSpace,
        tokens: Tensor,
        labels: Tensor,
        generator: Generator,
    ) -> Tensor:
        """−log p of every image's tokens, [B] in nats: exact, as one token follows the other."""
        return _surprise(model, parts, tokens, labels).double().sum(1)

    def sample(self, model: NextScaleModel, parts: Parts, space: TokenSpace, request: Request) -> Iterator[State]:
        batch, device, upto = len(request.labels), request.labels.device, ends(scales(parts.tokenizer))
        tokens = torch.zeros(batch, space.length, dtype=torch.int64, device=device)
        log_p = torch.zeros(batch, space.length, dtype=torch.float64, device=device)
        labelled, unlabelled = (_Half(model.network, labels) for labels in (request.labels, _without(request.labels)))
        for step in _plan(upto):
            first, end = upto[step.index] - (step.reveal or 0), upto[step.index]
            logits, scale = labelled(tokens[:, :first], end - first), parts.guidance_schedule(step)
            if scale != 1:
                logits = guided(logits, unlabelled(tokens[:, :first], end - first), scale)
            drawn, chance = _draw(logits, parts, request.images.fold(1).fold(step.index))
            tokens, log_p = tokens.clone(), log_p.clone()
            tokens[:, first:end], log_p[:, first:end] = drawn, chance
            later = torch.arange(space.length, device=device) >= end
            yield State(tokens, later.expand(batch, -1), log_p)


def _surprise(model: NextScaleModel, parts: Parts, tokens: Tensor, labels: Tensor) -> Tensor:
    """−log p of every token [B,N], given the coarser scales."""
    known = tokens[:, : -(scales(parts.tokenizer)[-1] ** 2)]
    logits = model.network(known, labels)
    return functional.cross_entropy(logits.transpose(1, 2).float(), tokens, reduction="none")


class _Half:
    """The network for these labels, which looks at every scale once: a half that was left out for a while catches up."""

    def __init__(self, network: VAR, labels: Tensor) -> None:
        self.network, self.labels, self.cache = network, labels, Cache()

    def __call__(self, codes: Tensor, places: int) -> Tensor:
        """Logits [B,places,K] of the scale that follows the codes."""
        logits: Tensor = self.network(codes, self.labels, self.cache)
        return logits[:, -places:]


def _without(labels: Tensor) -> Tensor:
    return torch.full_like(labels, UNLABELLED)


def _draw(logits: Tensor, parts: Parts, images: Streams) -> tuple[Tensor, Tensor]:
    """Codes [B,M] for logits [B,M,K] and their log-probabilities, one stream a place; in float64, as its tail counts."""
    drawable = parts.code_draw(logits.flatten(0, 1).double()).reshape(logits.shape)
    log_p = torch.log_softmax(drawable, -1)
    streams = images[:, None].fold(torch.arange(logits.shape[1], device=logits.device))
    codes = (log_p + streams.gumbel(log_p.shape[-1])).argmax(-1)
    return codes, log_p.gather(-1, codes[..., None]).squeeze(-1)


def _plan(upto: list[int]) -> Iterator[Step]:
    """A step for each scale."""
    total, length, known = len(upto), upto[-1], 0
    for index, end in enumerate(upto):
        t, s = 1 - index / total, 1 - (index + 1) / total
        yield Step(index, total, t, s, 1 - known / length, 1 - end / length, end - known)
        known = end


# As many parameters and training images as eMIGM's recipe has: a narrower network makes room for the codes. Dropout, the ramp
# (in the paper up to 2.5) and top-p (0.96, with the 900 likeliest codes of 4,096) are those that measured best on the embedded
# digits: without dropout the network learns the 1,297 images by heart, and held-out tokens cost it more bits than chance.
VAR_RECIPE = Recipe.of(
    process="next_scale(width=60, dropout=0.2)",
    tokenizer="multiscale(codes=256)",
    guidance_schedule=f"by_step(scale={scale_of(1.0)})",
    code_draw="softmax(top_p=0.9)",
    train_steps=3200,
    ema=0.998,
)

BIBTEX = r"""
@misc{tian2024visual,
  title = {Visual Autoregressive Modeling: Scalable Image Generation via Next-Scale Prediction},
  author = {Tian, Keyu and Jiang, Yi and Yuan, Zehuan and Peng, Bingyue and Wang, Liwei},
  year = {2024},
  eprint = {2404.02905},
  archivePrefix = {arXiv},
}
"""


@hookimpl
def mgbench_processes() -> dict[str, type]:
    return {"next_scale": NextScale}


@hookimpl
def mgbench_recipes() -> dict[str, Recipe]:
    return {
        "var": VAR_RECIPE,
        "var-unguided": VAR_RECIPE.change(guidance_schedule="none"),
        "var-unlabelled": VAR_RECIPE.change(guidance_schedule="none", labels=False),
    }


@hookimpl
def mgbench_references() -> dict[str, str]:
    return by_key(BIBTEX)
