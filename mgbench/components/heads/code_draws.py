"""Code draws: temperature, top-k and nucleus sampling."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mgbench.hookspecs import hookimpl
from mgbench.recipes.spec import Index, Positive, Share


@dataclass(frozen=True)
class Softmax:
    """Sample codes in proportion to exp(logit / temperature), from the `top_k` most likely (0: all), and of these from
    the
    smallest set with total probability `top_p` (nucleus sampling, Holtzman et al., arXiv:1904.09751).
    """

    temperature: Positive = 1.0
    top_k: Index = 0
    top_p: Share = 1.0

    def __call__(self, logits: Tensor) -> Tensor:
        logits = logits if self.temperature == 1 else logits / self.temperature
        if self.top_k in (0, logits.shape[-1]) and self.top_p == 1:
            return logits
        ordered, order = logits.sort(-1, descending=True)
        kept = torch.ones_like(ordered, dtype=torch.bool)
        if self.top_k:
            kept[..., self.top_k :] = False
        if self.top_p < 1:
            # A code is kept while the more likely codes have less than top_p in total; the first is always kept.
            chance = ordered.masked_fill(~kept, -math.inf).softmax(-1)
            kept &= chance.cumsum(-1) - chance < max(self.top_p, 1e-12)
        return logits.masked_fill(~kept.gather(-1, order.argsort(-1)), -math.inf)


@hookimpl
def mgbench_code_draws() -> dict[str, type]:
    return {"softmax": Softmax}
