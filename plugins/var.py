"""VAR: autoregression over scales, with all tokens of a scale at once (Tian et al., arXiv:2404.02905).

Unlike masked generation, the order is fixed by the tokenizer, coarse to fine, so there is no mask, mask schedule or
sampler, and sampling takes as many steps as there are scales, whatever `sampling_steps` is. Attention is block-causal:
a token attends to its own and coarser scales, so one pass trains all scales. Differences from the paper's code: code
embeddings are learned instead of taken from the codebook; queries and keys are not normalised; and the tokenizer is the
quantiser alone, on patches of pixels (`mgbench.components.tokenizers.multiscale`).
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
    """The cumulative number of tokens at the end of each scale."""
    return torch.tensor([side**2 for side in scales]).cumsum(0).tolist()


def block_causal(scales: tuple[int, ...]) -> Tensor:
    """The attention mask bool [N,N]: a token attends to its own and coarser scales."""
    level = torch.repeat_interleave(torch.arange(len(scales)), torch.tensor([side**2 for side in scales]))
    return level[:, None] >= level


def carried(scales: tuple[int, ...]) -> Tensor:
    """The matrix float [N,N] of blocks D_k U_j, which resizes the sum of coarser scales to the input of each scale."""
    last, rows = scales[-1], []
    for side in scales:
        row = [_resized(before, last, side) if before < side else torch.zeros(side**2, before**2) for before in scales]
        rows.append(torch.cat(row, 1))
    return torch.cat(rows)


def _resized(before: int, last: int, side: int) -> Tensor:
    """The matrix [side²,before²] that upsamples a grid to the last scale and downsamples it again."""
    each = torch.eye(before**2).reshape(-1, 1, before, before)
    return shrink(grow(each, last), side).flatten(1).T


class VAR(nn.Module):
    """A transformer over scales; the input at a position is the sum of all coarser scales, resized to its scale."""

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
        # A position embedding for each position of each scale, so that no scale embedding is needed.
        self.positions = positions(self.ends[-1], width)
        self.blocks = nn.ModuleList(AdaptiveBlock(width, options.heads, options.dropout) for _ in range(options.depth))
        self.exit = AdaptiveExit(width, codes)
        self.register_buffer("carried", carried(scales), persistent=False)
        self.register_buffer("seen", block_causal(scales), persistent=False)
        self.apply(initialise).apply(close)

    def forward(self, codes: Tensor, labels: Tensor, cache: Cache | None = None) -> Tensor:
        """Logits [B,N',K] of the known scales, with codes int64 [B,M], and of the next scale; labels int64 [B].

        With a `cache`, only of scales that it does not have yet.
        """
        known, first = codes.shape[1], 0 if cache is None else cache.length
        end = next(end for end in self.ends if end > known)
        label = self.label(labels, self.unlabelled)
        x = self.carried[first:end, :known] @ self.drop(self.embed(codes)) + self.positions[:, first:end]
        if not first:
            # The input of the first scale is the label embedding.
            x = torch.cat([x[:, :1] + label[:, None], x[:, 1:]], 1)
        condition = functional.silu(label)
        for block in self.blocks:
            x = block(x, condition, self.seen[None, first:end, :end], cache)
        logits: Tensor = self.exit(x, condition)
        return logits


class NextScaleModel(nn.Module):
    """A model that consists of the network."""

    def __init__(self, network: VAR) -> None:
        super().__init__()
        self.network = network


@dataclass(frozen=True)
class NextScale:
    """Next-scale prediction (arXiv:2404.02905); a share `label_drop` of the training images has no label.

    Time decreases by 1/S in each of the S sampling steps. VAR's guidance, t = cfg·k/(S − 1) in (1 + t)·c − t·u, is a
    scale that rises linearly from 1 to 1 + cfg.
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
        """The mean cross-entropy in nats, a scalar, over tokens int64 [B,N] of all scales, with labels int64 [B]."""
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
        """−log p [B] in nats of the tokens int64 [B,N] of every image with labels int64 [B], exact for an
        autoregressive model.
        """
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
    """The network with a cache for these labels (with or without guidance); skipped scales are processed later."""

    def __init__(self, network: VAR, labels: Tensor) -> None:
        self.network, self.labels, self.cache = network, labels, Cache()

    def __call__(self, codes: Tensor, places: int) -> Tensor:
        """Logits [B,M,K], M = `places`, of the scale that follows the codes."""
        logits: Tensor = self.network(codes, self.labels, self.cache)
        return logits[:, -places:]


def _without(labels: Tensor) -> Tensor:
    return torch.full_like(labels, UNLABELLED)


def _draw(logits: Tensor, parts: Parts, images: Streams) -> tuple[Tensor, Tensor]:
    """Sample codes int64 [B,M] from logits [B,M,K] in float64, with their log-probabilities and one random stream per
    position.
    """
    drawable = parts.code_draw(logits.flatten(0, 1).double()).reshape(logits.shape)
    log_p = torch.log_softmax(drawable, -1)
    streams = images[:, None].fold(torch.arange(logits.shape[1], device=logits.device))
    codes = (log_p + streams.gumbel(log_p.shape[-1])).argmax(-1)
    return codes, log_p.gather(-1, codes[..., None]).squeeze(-1)


def _plan(upto: list[int]) -> Iterator[Step]:
    """A sampling step for each scale."""
    total, length, known = len(upto), upto[-1], 0
    for index, end in enumerate(upto):
        t, s = 1 - index / total, 1 - (index + 1) / total
        yield Step(index, total, t, s, 1 - known / length, 1 - end / length, end - known)
        known = end


# As many parameters and training images as eMIGM's recipe, with a narrower network because of the code embeddings.
# Dropout, the guidance ramp (in the paper up to 2.5) and top-p (there 0.96, with the top 900 of 4,096 codes) measured
# best on the bundled digits: without dropout the network memorises the 1,297 images, and its likelihood of held-out
# tokens is worse than chance.
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
