"""Loss weightings: a weight for every token of a batch, L = Σ_i w_i ℓ_i.

All weightings have two options. `visible` is the weight of a visible token relative to a masked one: 0 in most papers,
1 for a loss over all tokens, 0.1 in TiTok. `per` is the divisor of the sum: the number of tokens with nonzero weight
("counted", a mean, as in MaskGIT, MAR and eMIGM), of all tokens ("token"), or of images ("image").
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Gt, Le
from torch import Tensor

from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import MaskSchedule
from mgbench.recipes.spec import Share

# Positive, because the weights are unbounded at 0.
OpenShare = Annotated[float, Gt(0), Le(1)]
Per = Literal["counted", "token", "image"]


def spread(weight: Tensor, mask: Tensor, visible: float, per: Per) -> Tensor:
    """Weights float [B,N] of the tokens, from those of the times float [B] and the mask bool [B,N]."""
    share = torch.where(mask, 1.0, visible).to(weight.dtype)
    parts = {"counted": max(1, int((share != 0).sum())), "token": mask.numel(), "image": len(mask)}
    return weight[:, None] * share / parts[per]


@dataclass(frozen=True)
class Uniform:
    """Weight 1 at every time, as in MaskGIT (arXiv:2202.04200), MAR (2406.11838) and eMIGM (2503.07197)."""

    visible: Share = 0.0
    per: Per = "counted"

    def __call__(self, schedule: MaskSchedule, t: Tensor, mask: Tensor) -> Tensor:
        return spread(torch.ones_like(t), mask, self.visible, self.per)


def log_slope(schedule: MaskSchedule, t: Tensor, t_floor: float) -> Tensor:
    """γ′(t)/γ(t) at times float [B], by automatic differentiation in float64; times are at least `t_floor`.

    Times stay just below 1, where some schedules are infinitely steep.
    """
    with torch.enable_grad():
        at = t.detach().double().clamp(t_floor, 1 - 1e-12).requires_grad_()
        gamma = schedule(at)
        (slope,) = torch.autograd.grad(gamma.sum(), at)
    return (slope / gamma.detach()).to(t.dtype)


@dataclass(frozen=True)
class Elbo:
    """γ′(t)/γ(t), which makes the loss a likelihood bound (MD4, arXiv:2406.04329, Eq. 7), in nats per token with
    `per=token`.

    Times are at least `t_floor`, because the weight is unbounded at 0.
    """

    t_floor: OpenShare = 1e-3
    visible: Share = 0.0
    per: Per = "counted"

    def __call__(self, schedule: MaskSchedule, t: Tensor, mask: Tensor) -> Tensor:
        return spread(log_slope(schedule, t, self.t_floor), mask, self.visible, self.per)


@dataclass(frozen=True)
class LambdaDCE:
    """1/λ, with λ the share of masked tokens: the λ-DCE loss of RADD (arXiv:2406.03736).

    By default λ = k/N for the k masked tokens of the image, which with counts uniform in 1 … N is the bound of
    any-order models; with `share=expected`, λ = γ(t), with times of at least `t_floor`.
    """

    share: Literal["drawn", "expected"] = "drawn"
    t_floor: OpenShare = 1e-3
    visible: Share = 0.0
    per: Per = "counted"

    def __call__(self, schedule: MaskSchedule, t: Tensor, mask: Tensor) -> Tensor:
        drawn = mask.to(t.dtype).mean(1).clamp_min(1 / mask.shape[1])
        expected = schedule(t.double().clamp_min(self.t_floor)).to(t.dtype)
        return spread(1 / (drawn if self.share == "drawn" else expected), mask, self.visible, self.per)


@dataclass(frozen=True)
class ReweightedElbo:
    """1 − t, a reweighting of the bound (whose weight is 1/t for γ(t) = t) that reduces noisy times (arXiv:2111.12701)."""

    visible: Share = 0.0
    per: Per = "counted"

    def __call__(self, schedule: MaskSchedule, t: Tensor, mask: Tensor) -> Tensor:
        return spread(1 - t, mask, self.visible, self.per)


@hookimpl
def mgbench_loss_weightings() -> dict[str, type]:
    return {"uniform": Uniform, "elbo": Elbo, "lambda_dce": LambdaDCE, "reweighted_elbo": ReweightedElbo}
