"""Networks of the masked process: a masked autoencoder, and a plain transformer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from mgbench.components.networks.blocks import (
    EPS,
    Block,
    LabelEmbedding,
    check_heads,
    chosen,
    initialise,
    positions,
    rows_read,
    token_embedding,
    true_places,
)
from mgbench.components.networks.linear import Linear
from mgbench.components.networks.norm import LayerNorm
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.data import TokenSpace
from mgbench.recipes.spec import Count, Share

Unconditional = Literal["mask_token", "class_token"]


class MaskedAutoencoder(nn.Module):
    """An encoder of class tokens and visible tokens, and a decoder of all tokens with a mask token for masked ones."""

    selects = True

    def __init__(self, options: "MAE", space: TokenSpace, classes: int) -> None:
        super().__init__()
        width, length = options.width, options.class_tokens + space.length
        self.width, self.class_tokens, self.sees = width, options.class_tokens, options.sees
        self.embed = token_embedding(space, width)
        self.label = LabelEmbedding(classes, width)
        self.mask_token = nn.Parameter(0.02 * torch.randn(width))
        own_vector = options.unconditional == "class_token"
        self.class_token = nn.Parameter(0.02 * torch.randn(width)) if own_vector else None
        self.encoder_positions = positions(length, width)
        self.embed_norm = LayerNorm(width, eps=EPS)
        self.encoder = nn.ModuleList(Block(width, options.heads, options.dropout) for _ in range(options.depth))
        self.encoder_norm = LayerNorm(width, eps=EPS)
        self.bridge = Linear(width, width)
        self.decoder_positions = positions(length, width)
        self.decoder = nn.ModuleList(Block(width, options.heads, options.dropout) for _ in range(options.depth))
        self.decoder_norm = LayerNorm(width, eps=EPS)
        self.head_positions = positions(space.length, width)
        self.apply(initialise)

    def forward(self, tokens: Tensor, mask: Tensor, labels: Tensor, at: Tensor | None = None) -> Tensor:
        """Z float [B,N,W] of tokens int64 [B,N] or float [B,N,D], mask bool [B,N] and labels int64 [B]; with `at`, z[at]."""
        unlabelled = self.mask_token if self.class_token is None else self.class_token
        class_tokens = self.label(labels, unlabelled)[:, None].expand(-1, self.class_tokens, -1)
        x = torch.cat([class_tokens, self.embed(tokens)], 1) + self.encoder_positions
        hidden = torch.cat([mask.new_zeros(len(mask), self.class_tokens), mask], 1)
        return self._decode(*self._encode(x, hidden), at)

    def _encode(self, x: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """The encoded vectors [B,M,W] of x [B,L,W] where `hidden` bool [B,L] is False, and the mask of those left out."""
        left_out = torch.zeros_like(hidden) if self.sees == "mask_tokens" else hidden
        kept, valid = true_places(~left_out)
        x = self.embed_norm(chosen(x, kept))
        if self.sees == "mask_tokens":
            x = torch.where(hidden[..., None], self.mask_token.to(x.dtype), x)
        for block in self.encoder:
            x = block(x, valid)
        return self.bridge(self.encoder_norm(x)), left_out

    def _decode(self, x: Tensor, left_out: Tensor, at: Tensor | None) -> Tensor:
        # Row 0 is the mask token; whole rows are looked up, as scattering takes elements one by one on a CPU.
        rows = (~left_out).cumsum(1) + x.shape[1] * torch.arange(len(x), device=x.device)[:, None]
        table = torch.cat([self.mask_token.to(x.dtype)[None], x.flatten(0, 1)])
        x = functional.embedding(rows.masked_fill(left_out, 0), table) + self.decoder_positions
        for block in self.decoder[:-1]:
            x = block(x)
        if at is None:
            out: Tensor = self.decoder_norm(self.decoder[-1](x))[:, self.class_tokens :] + self.head_positions
            return out
        places, read = true_places(at)
        x = self.decoder_norm(self.decoder[-1](x, places=places + self.class_tokens)) + self.head_positions[0, places]
        return rows_read(x, read)


class SingleStream(nn.Module):
    """A transformer over a class token and all tokens, with a mask token for masked ones."""

    selects = True

    def __init__(self, options: "Transformer", space: TokenSpace, classes: int) -> None:
        super().__init__()
        width = options.width
        self.width = width
        self.embed = token_embedding(space, width)
        self.label = LabelEmbedding(classes, width)
        self.mask_token = nn.Parameter(0.02 * torch.randn(width))
        own_vector = options.unconditional == "class_token"
        self.class_token = nn.Parameter(0.02 * torch.randn(width)) if own_vector else None
        self.positions = positions(1 + space.length, width)
        self.embed_norm = LayerNorm(width, eps=EPS)
        self.blocks = nn.ModuleList(Block(width, options.heads, options.dropout) for _ in range(options.depth))
        self.norm = LayerNorm(width, eps=EPS)
        self.apply(initialise)

    def forward(self, tokens: Tensor, mask: Tensor, labels: Tensor, at: Tensor | None = None) -> Tensor:
        """Z float [B,N,W] of tokens int64 [B,N] or float [B,N,D], mask bool [B,N] and labels int64 [B]; with `at`, z[at]."""
        unlabelled = self.mask_token if self.class_token is None else self.class_token
        seen = torch.where(mask[..., None], self.mask_token, self.embed(tokens))
        x = torch.cat([self.label(labels, unlabelled)[:, None], seen], 1)
        x = self.embed_norm(x + self.positions)
        for block in self.blocks[:-1]:
            x = block(x)
        if at is None:
            out: Tensor = self.norm(self.blocks[-1](x))[:, 1:]
            return out
        places, read = true_places(at)
        return rows_read(self.norm(self.blocks[-1](x, places=places + 1)), read)


@dataclass(frozen=True)
class MAE:
    """The MAE network of MAR and eMIGM (arXiv:2111.06377, arXiv:2406.11838): an encoder of visible tokens, and a
    decoder of all.

    `depth` blocks each; `class_tokens` leading positions have the label embedding, or without a label the mask token
    (eMIGM) or a learned embedding (MAR). Images of a batch may have different numbers of masked tokens. With
    `sees=mask_tokens` the encoder also processes mask tokens, as in the ablation of eMIGM (`use_mae=False`,
    arXiv:2503.07197, Figure 2c).
    """

    former_options: ClassVar[Mapping[str, str]] = {"slots": "class_tokens"}
    width: Count = 64
    depth: Count = 2
    heads: Count = 4
    class_tokens: Count = 2
    dropout: Share = 0.0
    unconditional: Unconditional = "mask_token"
    sees: Literal["visible", "mask_tokens"] = "visible"

    def __post_init__(self) -> None:
        check_heads(self.width, self.heads)

    def build(self, space: TokenSpace, classes: int) -> MaskedAutoencoder:
        return MaskedAutoencoder(self, space, classes)


@dataclass(frozen=True)
class Transformer:
    """A bidirectional transformer over visible and masked tokens, as in MaskGIT (arXiv:2202.04200)."""

    width: Count = 64
    depth: Count = 4
    heads: Count = 4
    dropout: Share = 0.0
    unconditional: Unconditional = "class_token"

    def __post_init__(self) -> None:
        check_heads(self.width, self.heads)

    def build(self, space: TokenSpace, classes: int) -> SingleStream:
        return SingleStream(self, space, classes)


@hookimpl
def mgbench_networks() -> dict[str, type]:
    return {"mae": MAE, "transformer": Transformer}
