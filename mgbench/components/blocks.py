"""The transformer block that the networks share, and the embeddings at their entrance."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mgbench.kinds import UNLABELLED, TokenSpace

EPS = 1e-6


class Attention(nn.Module):
    """Multi-head self-attention with a fused projection; padded positions are not attended to."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """Attend within x [B,M,W]; `valid` bool [B,M] marks the positions that exist (None: all)."""
        batch, length, width = x.shape
        q, k, v = self.qkv(x).reshape(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        seen = None if valid is None else valid[:, None, None, :]
        dropout = self.dropout if self.training else 0.0
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen, dropout_p=dropout)
        out: Tensor = self.drop(self.proj(y.transpose(1, 2).reshape(batch, length, width)))
        return out


class Block(nn.Module):
    """Pre-norm transformer block with an exact GELU (ViT, arXiv:2010.11929)."""

    takes_sequences = True  # what goes through it counts as token-forwards

    def __init__(self, width: int, heads: int, dropout: float, mlp_ratio: int = 4) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPS)
        self.attn = Attention(width, heads, dropout)
        self.norm2 = nn.LayerNorm(width, eps=EPS)
        self.fc1 = nn.Linear(width, mlp_ratio * width)
        self.fc2 = nn.Linear(mlp_ratio * width, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        x = x + self.attn(self.norm1(x), valid)
        hidden = self.drop(functional.gelu(self.fc1(self.norm2(x))))
        out: Tensor = x + self.drop(self.fc2(hidden))
        return out


class LabelEmbedding(nn.Module):
    """A vector for each class; the label -1 gets the vector it is given."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.classes = nn.Embedding(classes, width) if classes else None

    def forward(self, labels: Tensor, unlabelled: Tensor) -> Tensor:
        """Labels int64 [B] and the vector [W] of "no label" to [B,W]."""
        if self.classes is None:
            return unlabelled.expand(len(labels), -1)
        known = self.classes(labels.clamp_min(0))
        return torch.where((labels == UNLABELLED)[:, None], unlabelled, known)


def token_embedding(space: TokenSpace, width: int) -> nn.Module:
    """Codes or continuous tokens to vectors of `width` numbers."""
    return nn.Embedding(space.codes, width) if space.codes else nn.Linear(space.dim, width)


def positions(length: int, width: int) -> nn.Parameter:
    """Learned positions [1, length, width]."""
    return nn.Parameter(0.02 * torch.randn(1, length, width))


def initialise(module: nn.Module) -> None:
    """Xavier weights and zero biases in linear layers, small normal embeddings (as ViT and MAR start); for `apply`."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
