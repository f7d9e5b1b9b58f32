"""Mean velocities between two times and how they are learned (MeanFlow, arXiv:2505.13447 and 2512.02012)."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Generator, Tensor
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

# u at x and a time t, for a way that begins so far before it.
MeanVelocity = Callable[[Tensor, Tensor, Tensor], Tensor]


def draw_times(rows: int, apart: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Times t and spans t − s [rows]: the later and the earlier of two logistic-normal numbers (mean −0.4, deviation 1),
    and a span of 0 in all but a share `apart` of the rows.
    """
    device = generator.device
    two = (torch.randn(2, rows, generator=generator, device=device) - 0.4).sigmoid()
    chosen = torch.rand(rows, generator=generator, device=device) < apart
    t = two.amax(0)
    return t, torch.where(chosen, t - two.amin(0), 0.0)


def velocity_of(mean: MeanVelocity, x: Tensor, t: Tensor, span: Tensor, tangent: Tensor) -> Tensor:
    """U + (t − s)·du/dt, which is the velocity v(x, t) where u is right; du/dt is along dx/dt = `tangent`, s held fixed.

    The gradient is that of u alone.
    """
    with forward_ad.dual_level(), _differentiable():
        # As s stands still, the span grows as t does.
        both = zip((x, t, span), (tangent, torch.ones_like(t), torch.ones_like(span)), strict=True)
        u, slope = forward_ad.unpack_dual(mean(*(_dual(one, along) for one, along in both)))  # type: ignore[no-untyped-call]
    return u + as_wide(span, u) * slope.detach()  # type: ignore[no-any-return]


def _dual(one: Tensor, along: Tensor) -> Tensor:
    return forward_ad.make_dual(one, along)  # type: ignore[no-any-return, no-untyped-call]


def _differentiable() -> AbstractContextManager[None]:
    """The fused attention kernels have no forward-mode derivative."""
    return sdpa_kernel(SDPBackend.MATH)


def as_wide(numbers: Tensor, x: Tensor) -> Tensor:
    """Numbers [B] as [B,1,…], to go with x [B,…]."""
    return numbers.reshape(-1, *[1] * (x.ndim - 1))


def balanced(errors: Tensor, power: float) -> Tensor:
    """Errors [R] whose gradients are divided by (error + 0.001)^power, so that large ones do not rule; the values stay."""
    weighted = errors * (errors.detach() + 1e-3) ** -power
    return errors.detach() + weighted - weighted.detach()
