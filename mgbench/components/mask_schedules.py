"""What share of the tokens is masked at time t? The schedules that belong to no single paper."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mgbench.hookspecs import hookimpl


@dataclass(frozen=True)
class Linear:
    """γ(t) = t: the count of masked tokens is uniform in training. MDLM's log-linear schedule (arXiv:2406.07524)."""

    def __call__(self, t: Tensor) -> Tensor:
        return t


@dataclass(frozen=True)
class Cosine:
    """γ(t) = sin(πt/2) = cos(π/2 (1 − t)), of MaskGIT (arXiv:2202.04200); MDLM calls another function "cosine"."""

    def __call__(self, t: Tensor) -> Tensor:
        return torch.sin(math.pi / 2 * t)


@hookimpl
def mgbench_mask_schedules() -> dict[str, type]:
    return {"linear": Linear, "cosine": Cosine}
