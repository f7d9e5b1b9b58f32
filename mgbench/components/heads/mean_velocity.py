"""Average velocities between two times, and their training target (MeanFlow, arXiv:2505.13447 and arXiv:2512.02012)."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Generator, Tensor
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

# The average velocity u [B,…] at x [B,…] and times t [B], over an interval of length `span` [B] that ends at t.
MeanVelocity = Callable[[Tensor, Tensor, Tensor], Tensor]


def draw_times(rows: int, apart: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Times t and spans t − s, float [R] each with R = `rows`, from the larger and the smaller of two logit-normal
    numbers (mean −0.4, standard deviation 1); the span is 0 except in a share `apart` of the rows.
    """
    device = generator.device
    two = (torch.randn(2, rows, generator=generator, device=device) - 0.4).sigmoid()
    chosen = torch.rand(rows, generator=generator, device=device) < apart
    t = two.amax(0)
    return t, torch.where(chosen, t - two.amin(0), 0.0)


def velocity_of(mean: MeanVelocity, x: Tensor, t: Tensor, span: Tensor, tangent: Tensor) -> Tensor:
    """The velocity v(x, t) implied by u: u + (t − s)·du/dt [B,…], with du/dt along dx/dt = `tangent` [B,…] at fixed s.

    x is [B,…], and t and `span` = t − s are [B]. Gradients flow only through u.
    """
    with forward_ad.dual_level(), _differentiable():
        # At fixed s, the span grows with t.
        both = zip((x, t, span), (tangent, torch.ones_like(t), torch.ones_like(span)), strict=True)
        u, slope = forward_ad.unpack_dual(mean(*(_dual(one, along) for one, along in both)))  # type: ignore[no-untyped-call]
    return u + as_wide(span, u) * slope.detach()  # type: ignore[no-any-return]


def _dual(one: Tensor, along: Tensor) -> Tensor:
    return forward_ad.make_dual(one, along)  # type: ignore[no-any-return, no-untyped-call]


@contextmanager
def _differentiable() -> Iterator[None]:
    """A context without fused attention kernels, which have no forward-mode derivative."""
    with sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
        # PyTorch loads its own formulas of derivatives with a function that it calls deprecated.
        warnings.filterwarnings("ignore", ".*torch.jit.script", FutureWarning)
        yield


def as_wide(numbers: Tensor, x: Tensor) -> Tensor:
    """Reshape numbers [B] to [B,1,…], to broadcast with x [B,…]."""
    return numbers.reshape(-1, *[1] * (x.ndim - 1))


def balanced(errors: Tensor, power: float) -> Tensor:
    """Errors [R] with gradients divided by (error + 0.001)^power, so that large ones do not dominate; values are
    unchanged.
    """
    weighted = errors * (errors.detach() + 1e-3) ** -power
    return errors.detach() + weighted - weighted.detach()
