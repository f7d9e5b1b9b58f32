"""A transformer whose norms the label sets, as Halton-MaskGIT has it."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mgbench.components.networks.blocks import LabelEmbedding, attended, initialise, positions, token_embedding
from mgbench.components.networks.dropout import dropout
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.data import TokenSpace
from mgbench.recipes.spec import Count, Index, Share

EPS = 1e-5
# The width of the feed-forward layer is a multiple of this.
MULTIPLE = 256


def hidden_width(width: int) -> int:
    """The width of the gated feed-forward layer: two thirds of four times the width, rounded up to a multiple of 256."""
    return MULTIPLE * math.ceil((2 * 4 * width // 3) / MULTIPLE)


class NormalisedAttention(nn.Module):
    """Multi-head self-attention without biases; queries and keys have a root mean square of 1 over all heads.

    A head is `width // heads` wide, so that the heads together may be narrower than the input.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        inner = heads * (width // heads)
        self.heads, self.dropout = heads, dropout
        self.query, self.key, self.value = (nn.Linear(width, inner, bias=False) for _ in range(3))
        self.out = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Self-attention over x float [B,M,W]."""
        q, k, v = self.query(x), self.key(x), self.value(x)
        q, k = (functional.rms_norm(part, part.shape[-1:], eps=EPS).to(v) for part in (q, k))
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))
        y = attended(q, k, v, None, self.dropout if self.training else 0.0)
        out: Tensor = dropout(self.out(y.transpose(1, 2).flatten(2)), self.dropout, self.training)
        return out


class GatedMLP(nn.Module):
    """SwiGLU: the product of a linear layer and of the SiLU of another (Shazeer, arXiv:2002.05202), without biases."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        hidden, self.dropout = hidden_width(width), dropout
        self.gate, self.up = (nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(dropout(functional.silu(self.gate(x)) * self.up(x), self.dropout, self.training))
        return out


class GatedBlock(nn.Module):
    """A transformer block with RMS norms, whose shift, scale and strength a condition sets; it starts as the identity."""

    takes_sequences = True

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.modulation = nn.Linear(width, 6 * width)
        self.norm1, self.norm2 = (nn.RMSNorm(width, eps=EPS) for _ in range(2))
        self.attn = NormalisedAttention(width, heads, dropout)
        self.mlp = GatedMLP(width, dropout)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map x [B,M,W] to [B,M,W] given a condition [B,W]."""
        set_by = self.modulation(functional.silu(condition))[:, None].chunk(6, -1)
        shift1, scale1, gate1, shift2, scale2, gate2 = set_by
        x = x + gate1 * self.attn(self.norm1(x) * (1 + scale1) + shift1)
        out: Tensor = x + gate2 * self.mlp(self.norm2(x) * (1 + scale2) + shift2)
        return out


def _close(module: nn.Module) -> None:
    if isinstance(module, GatedBlock):
        nn.init.zeros_(module.modulation.weight)


class AdaptiveStream(nn.Module):
    """A transformer over all tokens, with a mask token for masked ones, and registers after them."""

    def __init__(self, options: "AdaptiveTransformer", space: TokenSpace, classes: int) -> None:
        super().__init__()
        width = self.width = options.width
        self.embed = token_embedding(space, width)
        self.label = LabelEmbedding(classes, width)
        self.mask_token, self.class_token = (nn.Parameter(0.02 * torch.randn(width)) for _ in range(2))
        self.positions = positions(space.length, width)
        self.registers = positions(options.registers, width)
        self.blocks = nn.ModuleList(GatedBlock(width, options.heads, options.dropout) for _ in range(options.depth))
        self.norm = nn.RMSNorm(width, eps=EPS)
        self.norm_bias = nn.Parameter(torch.zeros(width))
        self.modulation = nn.Linear(width, 2 * width)
        self.apply(initialise).apply(_close)

    def forward(self, tokens: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        """Z float [B,N,W] of tokens int64 [B,N] or float [B,N,D], mask bool [B,N] and labels int64 [B]."""
        condition = self.label(labels, self.class_token)
        x = torch.where(mask[..., None], self.mask_token, self.embed(tokens)) + self.positions
        x = torch.cat([x, self.registers.expand(len(x), -1, -1)], 1)
        for block in self.blocks:
            x = block(x, condition)
        shift, scale = self.modulation(functional.silu(condition))[:, None].chunk(2, -1)
        out: Tensor = (self.norm(x[:, : mask.shape[1]]) + self.norm_bias) * (1 + scale) + shift
        return out


@dataclass(frozen=True)
class AdaptiveTransformer:
    """The transformer of Halton-MaskGIT (Besnier et al., arXiv:2503.17076): the label sets the norms of all blocks.

    Its blocks have RMS norms, normalised queries and keys, and SwiGLU; `registers` tokens of their own follow those of an
    image (arXiv:2309.16588). The official one ties its output to the embeddings of the codes, and this one does not.
    """

    width: Count = 64
    depth: Count = 4
    heads: Count = 4
    registers: Index = 1
    dropout: Share = 0.0

    def __post_init__(self) -> None:
        if self.width < self.heads:
            raise ValueError(f"width ({self.width}) must be at least the number of heads ({self.heads})")

    def build(self, space: TokenSpace, classes: int) -> AdaptiveStream:
        return AdaptiveStream(self, space, classes)


@hookimpl
def mgbench_networks() -> dict[str, type]:
    return {"adaptive_transformer": AdaptiveTransformer}
