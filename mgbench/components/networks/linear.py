"""Linear layers, whose float32 products on a CPU are those of oneDNN.

PyTorch multiplies float32 matrices on x86 with MKL, which uses AVX2 on CPUs that are not Intel's, also where these have
AVX-512. oneDNN, in the same build of PyTorch, uses AVX-512 on all of them, and takes about half the time there.
"""

from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.autograd.function import Function
from torch.nn import functional

# Smaller products gain less than what a call of oneDNN costs; in training also less than the 0.3 ms that it costs for a
# shape that it has not seen, as numbers of masked tokens often are where they differ from image to image. Those are
# rarely multiples of `WHOLE`, and all others mostly are.
LEAST_SIZE, LEAST_ONCE, WHOLE = 2**21, 2**23, 32
# Up to this many inputs, the weight is copied in training so that MKL gets its gradient as xᵀ slope instead of slopeᵀ x,
# which takes six times as long for 3,840 rows of 4 numbers.
NARROW = 8
# The approximation of a GELU, as `torch.nn.functional.gelu` names it.
Gelu = Literal["none", "tanh"]


class Linear(nn.Linear):
    """A linear layer from x float [...,K] to [...,N], with a GELU after it if one is named."""

    def forward(self, x: Tensor, gelu: Gelu | None = None) -> Tensor:
        if gelu is None:
            return linear(x, self.weight, self.bias)
        if _suits_onednn(x, self.weight) and not _differentiates():
            return _onednn(x, self.weight, self.bias, "gelu", gelu)
        return functional.gelu(linear(x, self.weight, self.bias), approximate=gelu)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """X weightᵀ + bias, float [...,N], of x float [...,K], weight float [N,K] and bias float [N]."""
    if not _suits_onednn(x, weight):
        narrow = x.shape[-1] <= NARROW and x.device.type == "cpu" and torch.is_grad_enabled()
        return functional.linear(x, weight.t().contiguous().t() if narrow else weight, bias)
    if not _differentiates():
        return _onednn(x, weight, bias)
    product: Tensor = _Product.apply(x, weight, bias)
    return product


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None = None, then: str = "none", how: str = "") -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise.default(x, weight, bias, then, [], how)
    return product


def _differentiates() -> bool:
    return torch.is_grad_enabled() or forward_ad._current_level >= 0


def _suits_onednn(x: Tensor, weight: Tensor) -> bool:
    # The compiler chooses kernels itself, and takes this one for constant weights only.
    return (
        not torch.compiler.is_compiling()
        and x.numel() * len(weight) >= (LEAST_ONCE if _differentiates() and not _is_whole(x) else LEAST_SIZE)
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and _has_kernel()
    )


def _is_whole(x: Tensor) -> bool:
    return x.numel() // max(1, x.shape[-1]) % WHOLE == 0


@cache
def _has_kernel() -> bool:
    faster = torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX512"  # type: ignore[no-untyped-call]
    return faster and hasattr(torch.ops.mkldnn, "_linear_pointwise")


class _Product(Function):
    """The linear layer of oneDNN, for matrices of any strides, with the derivatives of any order that it lacks."""

    @staticmethod
    # Any: the context with what is kept for derivatives, which PyTorch gives no type.
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.save_for_forward(x, weight)
        return _onednn(x, weight, bias)

    @staticmethod
    # Any: as above.
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        (x, weight), needed = ctx.saved_tensors, ctx.needs_input_grad
        # Gradients are as large a product, so they are oneDNN's too; only derivatives of them need a graph.
        times = linear if torch.is_grad_enabled() else _onednn
        of_x = times(slope, weight.t()) if needed[0] else None
        slope, x = slope.flatten(0, -2), x.flatten(0, -2)
        of_weight = None
        if needed[1]:
            # The first factor is copied, so that is the smaller.
            few = slope.shape[1] <= x.shape[1]
            of_weight = times(slope.t(), x.t()) if few else times(x.t(), slope.t()).t()
        return of_x, of_weight, slope.sum(0) if needed[2] else None

    @staticmethod
    # Any: as above.
    def jvp(ctx: Any, x: Tensor | None, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        at_x, at_weight = ctx.saved_tensors
        terms = [bias]
        terms += [None if weight is None else linear(at_x, weight), None if x is None else linear(x, at_weight)]
        known = [term for term in terms if term is not None]
        return torch.stack(torch.broadcast_tensors(*known)).sum(0)  # type: ignore[no-untyped-call]
