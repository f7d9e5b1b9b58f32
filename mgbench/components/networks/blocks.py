"""Transformer blocks and input embeddings of the networks."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from mgbench.components.networks.dropout import Dropout, dropout, of_cpu
from mgbench.components.networks.linear import Linear, linear
from mgbench.components.networks.norm import LayerNorm
from mgbench.interfaces.data import UNLABELLED, TokenSpace

EPS = 1e-6
# The number of keys up to which PyTorch's own attention is the slower one on a CPU.
SHORT = 32
# The numbers that PyTorch exponentiates at a time.
LANES = 16


class Cache:
    """A key-value cache: keys and values of earlier positions, by attention module."""

    def __init__(self) -> None:
        self._kept: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    @property
    def length(self) -> int:
        """The number of cached positions."""
        return next((keys.shape[2] for keys, _ in self._kept.values()), 0)

    def extend(self, module: nn.Module, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append keys and values [B,heads,M,·] of new positions; those of all positions so far, [B,heads,M' + M,·]."""
        before = self._kept.get(module)
        if before is not None:
            keys, values = torch.cat([before[0], keys], 2), torch.cat([before[1], values], 2)
        self._kept[module] = keys, values
        return keys, values


class Attention(nn.Module):
    """Multi-head self-attention with a fused projection and an optional mask."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width)
        self.drop = Dropout(dropout)

    def forward(
        self, x: Tensor, seen: Tensor | None, cache: Cache | None = None, asking: Tensor | None = None
    ) -> Tensor:
        """Self-attention over x float [B,M,W] and the M' positions in `cache`, to which x is added; float [B,M,W].

        `seen` marks valid positions, bool [B,M], or the positions that each one attends to, bool [B or 1,M,M' + M];
        None: all. With `asking` float [B,R,W], these are the queries, of x alone, and the result is float [B,R,W].
        """
        heads = None if seen is None else seen[:, None, None, :] if seen.ndim == 2 else seen[:, None]
        y = self._attended(x, heads, cache) if asking is None else self._asked(x, heads, asking)
        out: Tensor = self.drop(self.proj(y.flatten(2)))
        return out

    def _attended(self, x: Tensor, seen: Tensor | None, cache: Cache | None) -> Tensor:
        """Values that every position of x [B,M,W] reads, float [B,M,heads,W/heads]."""
        q, k, v = self._heads(self.qkv(x), 3)
        if cache is not None:
            k, v = cache.extend(self, k, v)
        return attended(q, k, v, seen, self.dropout if self.training else 0.0).transpose(1, 2)

    def _asked(self, x: Tensor, seen: Tensor | None, asking: Tensor) -> Tensor:
        """Values that queries made of `asking` [B,R,W] read from x [B,M,W], float [B,R,heads,W/heads].

        Few queries take no keys and values of all positions: q·(K x) = (Kᵀq)·x, where biases of keys move all scores of
        a query alike; and a mean of values V x + b is V times that of x, and b.
        """
        width = x.shape[-1]
        weights, biases = self.qkv.weight.view(3, self.heads, -1, width), self.qkv.bias.view(3, self.heads, -1)
        q = linear(asking, weights[0].flatten(0, 1), biases[0].flatten()).view(*asking.shape[:2], self.heads, -1)
        dropped = self.dropout if self.training else 0.0
        if dropped or 2 * asking.shape[1] * self.heads > x.shape[1]:
            k, v = self._heads(linear(x, weights[1:].flatten(0, 2), biases[1:].flatten()), 2)
            return attended(q.transpose(1, 2), k, v, seen, dropped).transpose(1, 2)
        # As queries of one head, whose scores `attended` divides by the root of its width, that of all heads.
        q = math.sqrt(self.heads) * torch.einsum("brhd,hdw->brhw", q, weights[1])
        means = attended(q.flatten(1, 2)[:, None], x[:, None], x[:, None], seen, 0.0).view(q.shape)
        read: Tensor = torch.einsum("brhw,hdw->brhd", means, weights[2]) + biases[2]
        return read

    def _heads(self, projected: Tensor, parts: int) -> Tensor:
        """Split projections [B,M,parts·W] by part and head: [parts,B,heads,M,·]."""
        return projected.reshape(*projected.shape[:2], parts, self.heads, -1).permute(2, 0, 3, 1, 4)


def attended(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None, dropped: float) -> Tensor:
    """softmax(q kᵀ/√d) v float [B,heads,M,d], with dropout in the softmax; `seen` bool broadcasts to [B,heads,M,M']."""
    if not of_cpu(q) or not (dropped or k.shape[-2] <= SHORT):
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=seen, dropout_p=dropped)
    # PyTorch's own, on a CPU, takes more passes over memory with dropout, and exponentiates what is left of a row after
    # every 16 numbers one by one. So keys go down, the softmax is one of columns, and zeros fill up rows of queries.
    scores, length = k @ (q / math.sqrt(q.shape[-1])).transpose(-1, -2), q.shape[-2]
    if seen is not None:
        scores.masked_fill_(~seen.transpose(-1, -2), torch.finfo(scores.dtype).min)
    if length % LANES >= LANES // 2:
        scores = functional.pad(scores, (0, -length % LANES))
    return dropout(scores.softmax(-2), dropped)[..., :length].transpose(-1, -2) @ v


class Block(nn.Module):
    """Pre-norm transformer block with an exact GELU (ViT, arXiv:2010.11929)."""

    takes_sequences = True  # its inputs count as token-forwards

    def __init__(self, width: int, heads: int, dropout: float, mlp_ratio: int = 4) -> None:
        super().__init__()
        self.norm1 = LayerNorm(width, eps=EPS)
        self.attn = Attention(width, heads, dropout)
        self.norm2 = LayerNorm(width, eps=EPS)
        self.fc1 = Linear(width, mlp_ratio * width)
        self.fc2 = Linear(mlp_ratio * width, width)
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor, seen: Tensor | None = None, places: Tensor | None = None) -> Tensor:
        """Map x float [B,M,W] to [B,M,W], or with `places` int64 [B,R] to the outputs at those positions; `seen` as in
        `Attention`.
        """
        normed = self.norm1(x)
        if places is None:
            x = x + self.attn(normed, seen)
        else:
            x = chosen(x, places) + self.attn(normed, seen, asking=chosen(normed, places))
        hidden = self.drop(self.fc1(self.norm2(x), gelu="none"))
        out: Tensor = x + self.drop(self.fc2(hidden))
        return out


def with_product(added: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """Added + one·other, float [R,W] each, or [B,M,W], where [B,1,W] is for all positions."""
    # The sum in one pass, whose derivative takes two passes more than that of a product and a sum.
    return added + one * other if torch.is_grad_enabled() else torch.addcmul(added, one, other)


class AdaptiveBlock(nn.Module):
    """A transformer block with adaptive layer norm (adaLN-Zero, DiT, arXiv:2212.09748, §3.2).

    It starts as the identity.
    """

    takes_sequences = True

    def __init__(self, width: int, heads: int, dropout: float = 0.0, mlp_ratio: int = 4) -> None:
        super().__init__()
        self.norm = LayerNorm(width, eps=EPS, elementwise_affine=False)
        self.attn = Attention(width, heads, dropout)
        self.fc1 = Linear(width, mlp_ratio * width)
        self.fc2 = Linear(mlp_ratio * width, width)
        self.drop = Dropout(dropout)
        self.modulation = Linear(width, 6 * width)

    def forward(self, x: Tensor, condition: Tensor, seen: Tensor | None = None, cache: Cache | None = None) -> Tensor:
        """Map x [B,M,W] to [B,M,W] given a condition [B,W]; `seen` and `cache` as in `Attention`."""
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(condition)[:, None].chunk(6, -1)
        x = with_product(x, gate1, self.attn(with_product(shift1, self.norm(x), 1 + scale1), seen, cache))
        hidden = self.drop(self.fc1(with_product(shift2, self.norm(x), 1 + scale2), gelu="tanh"))
        return with_product(x, gate2, self.drop(self.fc2(hidden)))


class AdaptiveExit(nn.Module):
    """The final adaptive layer norm and projection to `dim` numbers, initialised to zero."""

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.norm = LayerNorm(width, eps=EPS, elementwise_affine=False)
        self.modulation = Linear(width, 2 * width)
        self.proj = Linear(width, dim)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        shift, scale = self.modulation(condition)[:, None].chunk(2, -1)
        out: Tensor = self.proj(with_product(shift, self.norm(x), 1 + scale))
        return out


def close(module: nn.Module) -> None:
    """Initialise adaptive layers to zero, for `Module.apply`, after `initialise`."""
    if isinstance(module, AdaptiveBlock | AdaptiveExit):
        nn.init.zeros_(module.modulation.weight)
    if isinstance(module, AdaptiveExit):
        nn.init.zeros_(module.proj.weight)


class LabelEmbedding(nn.Module):
    """A learned vector for each class."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.classes = nn.Embedding(classes, width) if classes else None

    def forward(self, labels: Tensor, unlabelled: Tensor) -> Tensor:
        """The vectors [B,W] of labels int64 [B]; label -1 gets the vector `unlabelled` [W]."""
        if self.classes is None:
            return unlabelled.expand(len(labels), -1)
        known = self.classes(labels.clamp_min(0))
        return torch.where((labels == UNLABELLED)[:, None], unlabelled, known)


def chosen(x: Tensor, places: Tensor) -> Tensor:
    """The vectors float [B,R,W] of x [B,M,W] at positions int64 [B,R]."""
    rows = places + x.shape[1] * torch.arange(len(x), device=x.device)[:, None]
    # By whole rows, as a gather takes elements one by one on a CPU.
    return x.flatten(0, 1).index_select(0, rows.flatten()).view(*places.shape, x.shape[-1])


def true_places(at: Tensor) -> tuple[Tensor, Tensor | None]:
    """The positions int64 [B,R] at which `at` bool [B,M] is True, in increasing order and padded to the longest row.

    Also a mask bool [B,R] of those that are not padding; None if there is no padding.
    """
    counts = at.sum(1)
    fewest, most = torch.stack(counts.aminmax()).tolist()
    if fewest == most:
        return at.nonzero_static(size=at.shape[0] * most)[:, 1].view(len(at), most), None
    places = (~at).int().argsort(dim=1, stable=True)[:, :most]
    return places, torch.arange(most, device=at.device) < counts[:, None]


def rows_read(x: Tensor, read: Tensor | None) -> Tensor:
    """The vectors float [R,W] of x [B,M,W] that are not padding; `read` bool [B,M] is the mask from `true_places`."""
    return x.flatten(0, 1) if read is None else x[read]


def token_embedding(space: TokenSpace, width: int) -> nn.Module:
    """An embedding of codes or continuous tokens in `width` dimensions."""
    return nn.Embedding(space.codes, width) if space.codes else Linear(space.dim, width)


def positions(length: int, width: int) -> nn.Parameter:
    """Learned position embeddings [1,length,width]."""
    return nn.Parameter(0.02 * torch.randn(1, length, width))


def time_features(t: Tensor, frequencies: int) -> Tensor:
    """Sinusoidal features [R,2·frequencies] of times [R] from 0 to about 1,000 (arXiv:1706.03762, §3.5)."""
    rates = torch.exp(-math.log(10000) / frequencies * torch.arange(frequencies, device=t.device, dtype=torch.float32))
    angles = t[:, None].float() * rates
    return torch.cat([angles.cos(), angles.sin()], -1)


def check_heads(width: int, heads: int) -> None:
    """Check that the width is a multiple of the number of heads.

    Raises:
        ValueError: if it is not.
    """
    if width % heads:
        raise ValueError(f"width ({width}) must be a multiple of heads ({heads})")


def initialise(module: nn.Module) -> None:
    """Initialise linear layers with Xavier weights and zero biases, and embeddings with small normal values, as in MAR."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
