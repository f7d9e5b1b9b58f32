"""How much does t count in the loss?"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mgbench.hookspecs import hookimpl
from mgbench.kinds import MaskSchedule


@dataclass(frozen=True)
class Uniform:
    """Weight 1: the mean over masked tokens, as MaskGIT, MAR and eMIGM train."""

    def __call__(self, schedule: MaskSchedule, t: Tensor) -> Tensor:
        return torch.ones_like(t)


@dataclass(frozen=True)
class Elbo:
    """γ′(t)/γ(t), the weight that makes the loss a bound on the likelihood (MD4, arXiv:2406.04329, Eq. 7).

    Derived from any schedule by differentiation. Times below `t_floor` count as t_floor: the weight has no bound at 0.
    """

    t_floor: float = 1e-3

    def __call__(self, schedule: MaskSchedule, t: Tensor) -> Tensor:
        with torch.enable_grad():
            at = t.detach().clamp_min(self.t_floor).requires_grad_()
            gamma = schedule(at)
            (slope,) = torch.autograd.grad(gamma.sum(), at)
        return slope / gamma.detach()


@hookimpl
def mgbench_loss_weightings() -> dict[str, type]:
    return {"uniform": Uniform, "elbo": Elbo}
