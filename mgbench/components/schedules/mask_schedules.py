"""Mask schedules: the share of masked tokens γ(t) at time t.

Schedules of papers that use r = 1 − t are converted; a power of t and a power of r are different schedules. The names
in papers clash, so they are not accepted as spellings; `known_as` lists them for suggestions.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mgbench.hookspecs import hookimpl
from mgbench.recipes.spec import Positive, Share


@dataclass(frozen=True)
class Linear:
    """γ(t) = t, with a uniform number of masked tokens in training: MDLM's log-linear schedule (arXiv:2406.07524)."""

    known_as: ClassVar[tuple[str, ...]] = ("uniform", "loglinear")

    def __call__(self, t: Tensor) -> Tensor:
        return t


@dataclass(frozen=True)
class Cosine:
    """γ(t) = sin(πt/2) = cos(π/2 (1 − t)), of MaskGIT (arXiv:2202.04200); MDLM calls another function "cosine"."""

    def __call__(self, t: Tensor) -> Tensor:
        return torch.sin(math.pi / 2 * t)


@dataclass(frozen=True)
class OneMinusCos:
    """γ(t) = 1 − cos(πt/2), which MDLM (arXiv:2406.07524) calls "cosine"; few tokens are masked for most times."""

    def __call__(self, t: Tensor) -> Tensor:
        # As 2 sin²(πt/4), to keep precision at small t.
        return 2 * torch.sin(math.pi / 4 * t) ** 2


@dataclass(frozen=True)
class CosineSq:
    """γ(t) = sin²(πt/2), of MDLM (arXiv:2406.07524): α = cos²."""

    known_as: ClassVar[tuple[str, ...]] = ("cosinesqr", "cosine_squared")

    def __call__(self, t: Tensor) -> Tensor:
        return torch.sin(math.pi / 2 * t) ** 2


@dataclass(frozen=True)
class Arccos:
    """γ(t) = (2/π) arccos(1 − t), of Halton-MaskGIT (arXiv:2503.17076), TiTok (2406.07550) and MaskBit (2409.16211)."""

    def __call__(self, t: Tensor) -> Tensor:
        return 2 / math.pi * torch.acos(1 - t)


@dataclass(frozen=True)
class PowT:
    """γ(t) = t^p: with p = N MD4's polynomials (arXiv:2406.04329), with p = 0.5 eMIGM's "poly" (2503.07197)."""

    p: Positive = 0.5
    known_as: ClassVar[tuple[str, ...]] = ("poly", "polynomial")

    def __call__(self, t: Tensor) -> Tensor:
        return t**self.p


@dataclass(frozen=True)
class PowR:
    """γ(t) = 1 − (1 − t)^p: the powers of MaskGIT (arXiv:2202.04200), and with κ = t^p those of discrete flow matching
    (2407.15595).
    """

    p: Positive = 2.0
    known_as: ClassVar[tuple[str, ...]] = ("pow", "square", "cubic", "root", "polynomial")

    def __call__(self, t: Tensor) -> Tensor:
        return 1 - (1 - t) ** self.p


@dataclass(frozen=True)
class Exp:
    """γ(t) = 1 − exp(−rate·t), with nearly all tokens masked for most times: eMIGM's schedule (arXiv:2503.07197, Table
    4); γ(1) is 0.993 for rate 5. MaskGIT's "exp" (2202.04200), 1 − N^(−t), has the rate ln N.
    """

    rate: Positive = 5.0

    def __call__(self, t: Tensor) -> Tensor:
        return -torch.expm1(-self.rate * t)


@dataclass(frozen=True)
class LogExp:
    """γ(t) = ln(1 + (e^rate − 1)·t) / rate, eMIGM's "log-exp" (arXiv:2503.07197, App. D); `log` in its code."""

    rate: Positive = 5.0
    known_as: ClassVar[tuple[str, ...]] = ("log_exp",)

    def __call__(self, t: Tensor) -> Tensor:
        return torch.log1p(math.expm1(self.rate) * t) / self.rate


@dataclass(frozen=True)
class Log:
    """γ(t) = −ln(1 − t) / ln n, at most 1: MaskGIT's "log" for n tokens (arXiv:2202.04200), not the `log` of eMIGM's code."""

    n: Positive = 256.0

    def __post_init__(self) -> None:
        if self.n <= 1:
            raise ValueError(f"n ({self.n}) must be above 1")

    def __call__(self, t: Tensor) -> Tensor:
        return (-torch.log1p(-t) / math.log(self.n)).clamp(max=1)


@dataclass(frozen=True)
class Sigmoid:
    """γ(t) = (σ(b/τ) − σ((a + (b − a)(1 − t))/τ)) / (σ(b/τ) − σ(a/τ)), a section of the logistic function, as in open-muse."""

    a: float = -3.0
    b: float = 3.0
    tau: Positive = 1.0

    def __post_init__(self) -> None:
        if self.a >= self.b:
            raise ValueError(f"a ({self.a}) must be below b ({self.b})")

    def __call__(self, t: Tensor) -> Tensor:
        low, high = (1 / (1 + math.exp(-end / self.tau)) for end in (self.a, self.b))
        now = torch.sigmoid((self.a + (self.b - self.a) * (1 - t)) / self.tau)
        return ((high - now) / (high - low)).clamp(0, 1)


@dataclass(frozen=True)
class Geometric:
    """γ(t) = 1 − exp(−low^(1 − t)·high^t), with geometric total noise between two bounds: SEDD (arXiv:2310.16834)."""

    low: Positive = 1e-4
    high: Positive = 20.0

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high})")

    def __call__(self, t: Tensor) -> Tensor:
        return -torch.expm1(-(self.low ** (1 - t)) * self.high**t)


@dataclass(frozen=True)
class Table:
    """γ(1 − i/T) = shares[i − 1] for i = 1 … T, γ(1) = 1, linear in between: the share still masked after each of T
    steps.

    AutoNAT (arXiv:2406.05478) searched such tables: [0.953, 0.88, 0.794, 0.746, 0.625, 0.407, 0.261, 0] for 8 steps.
    """

    shares: tuple[Share, ...]
    known_as: ClassVar[tuple[str, ...]] = ("searched",)

    def __post_init__(self) -> None:
        if not self.shares or self.shares[-1] != 0:
            raise ValueError("shares must end with 0: after the last step nothing is masked")
        if any(then > now for now, then in zip((1, *self.shares), self.shares, strict=False)):
            raise ValueError(f"shares must not rise: {list(self.shares)}")

    def __call__(self, t: Tensor) -> Tensor:
        knots = torch.tensor((*reversed(self.shares), 1.0), dtype=t.dtype, device=t.device)
        place = t * len(self.shares)
        low = place.detach().floor().long().clamp(0, len(self.shares) - 1)
        return knots[low] + (place - low) * (knots[low + 1] - knots[low])


@hookimpl
def mgbench_mask_schedules() -> dict[str, type]:
    return {
        "linear": Linear,
        "cosine": Cosine,
        "one_minus_cos": OneMinusCos,
        "cosine_sq": CosineSq,
        "arccos": Arccos,
        "pow_t": PowT,
        "pow_r": PowR,
        "exp": Exp,
        "logexp": LogExp,
        "log": Log,
        "sigmoid": Sigmoid,
        "geometric": Geometric,
        "table": Table,
    }
