"""A time-conditional transformer over all tokens, for processes that add noise to every token."""

import torch
from torch import Tensor, nn

from mgbench.components.networks.blocks import (
    AdaptiveBlock,
    AdaptiveExit,
    LabelEmbedding,
    close,
    initialise,
    positions,
    time_features,
    token_embedding,
)
from mgbench.components.networks.linear import Linear
from mgbench.interfaces.data import TokenSpace

FREQUENCIES = 32
# Scale of the time embedding: times in [0, 1] are multiplied by this.
TICKS = 1000
# With a second time, training differentiates with respect to time, and the derivatives of high frequencies would
# dominate
# (Lu and Song, arXiv:2410.11081, §4).
SLOW_TICKS = 1


class TimedTransformer(nn.Module):
    """Blocks over all tokens, conditioned on time and label by adaptive layer norm (adaLN-zero, DiT, arXiv:2212.09748).

    For vectors it predicts as many numbers per token, for codes their logits. With `spans` it has a second time as
    input, given as the distance before the first (MeanFlow, arXiv:2505.13447).
    """

    def __init__(
        self, space: TokenSpace, classes: int, width: int, depth: int, heads: int, *, spans: bool = False
    ) -> None:
        super().__init__()
        self.ticks = SLOW_TICKS if spans else TICKS
        self.embed = token_embedding(space, width)
        self.positions = positions(space.length, width)
        self.time = _embedding(width)
        self.label = LabelEmbedding(classes, width)
        self.unlabelled = nn.Parameter(0.02 * torch.randn(width))
        self.blocks = nn.ModuleList(AdaptiveBlock(width, heads) for _ in range(depth))
        self.exit = AdaptiveExit(width, space.codes or space.dim)
        self.span = _embedding(width) if spans else None
        self.apply(initialise).apply(close)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor, span: Tensor | None = None) -> Tensor:
        """Predict [B,N,D], or logits [B,N,K], from tokens x [B,N,D], or int64 [B,N], at times t [B] (or [1], for all)
        in [0, 1], with labels int64 [B] and the `span` [B] or [1] between the second time and t.
        """
        h = self.embed(x) + self.positions
        time = self.time(time_features(self.ticks * t, FREQUENCIES).to(h.dtype))
        if self.span is not None and span is not None:
            time = time + self.span(time_features(self.ticks * span, FREQUENCIES).to(h.dtype))
        condition = nn.functional.silu(time + self.label(labels, self.unlabelled))
        for block in self.blocks:
            h = block(h, condition)
        out: Tensor = self.exit(h, condition)
        return out


def _embedding(width: int) -> nn.Sequential:
    return nn.Sequential(Linear(2 * FREQUENCIES, width), nn.SiLU(), Linear(width, width))
