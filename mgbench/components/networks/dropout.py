"""Dropout (arXiv:1207.0580) with a quarter of the random numbers on a CPU, where drawing them takes most of its time."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import has_torch_function_unary

# The numbers of 16 bits in one of 64 bits, and how many there are.
LANES, LEVELS = 4, 2**16


class Dropout(nn.Module):
    """Dropout with probability p while training, of x float of any shape."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.p, self.training)


def dropout(x: Tensor, p: float, training: bool = True) -> Tensor:
    """Zeros instead of elements of x float of any shape, each with probability p, and the others divided by 1 − p.

    On a CPU, p is rounded to a multiple of 2⁻¹⁶, and the division is by 1 minus what was rounded to.
    """
    dropped = round(p * LEVELS)
    if not training or not of_cpu(x) or torch.compiler.is_compiling() or not 0 < dropped < LEVELS:
        return functional.dropout(x, p, training)
    return x * _kept(x.shape, dropped, x.dtype).mul_(LEVELS / (LEVELS - dropped))


def of_cpu(x: Tensor) -> bool:
    """Whether to compute with x [B,…] as suits a CPU: where a mode watches calls, as it does to count what a step takes on
    any device, PyTorch's own functions are called.
    """
    return x.device.type == "cpu" and not has_torch_function_unary(x)


def _kept(shape: torch.Size, dropped: int, dtype: torch.dtype) -> Tensor:
    """A mask of this shape, each element 0 with probability dropped/2¹⁶, and 1 otherwise."""
    count = math.prod(shape)
    numbers = torch.empty(-(-count // LANES), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
    # Comparing into numbers takes a sixth of the time of comparing into bool and converting.
    return torch.ge(numbers[:count], dropped - LEVELS // 2, out=torch.empty(count, dtype=dtype)).view(shape)
