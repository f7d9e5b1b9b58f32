"""ReMDM: remasking discrete diffusion models with inference-time scaling (Wang et al., arXiv:2503.00307).

Sampling of a masked diffusion model masks tokens again, so that further steps can correct earlier mistakes. A visible
token is masked again with probability σ, and a masked one is revealed with probability (α_s − (1 − σ)·α_t)/(1 − α_t), α
= 1 − γ, which preserves the share of masked tokens. σ = 0 is `ancestral`; σ is at most σ_max = min(1, (1 − α_s)/α_t).
Except for `remdm_conf`, positions are chosen without values, so these samplers also work with vectors.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from mgbench_plugins.maskgit import MASKGIT
from torch import Tensor

from mgbench.components.samplers.plans import expected, jump, need_codes, share_revealed
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.bibtex import by_key
from mgbench.interfaces.components import MaskSchedule, Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Requires, SamplerInput, Step
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.spec import Share


def sigma_max(step: Step) -> float:
    """σ_max = min(1, (1 − α_s)/α_t), the largest σ that is consistent with the schedule."""
    visible = 1 - step.share_now
    return step.share_then / visible if step.share_then < visible else 1.0


def posterior(view: SamplerInput, step: Step, rng: Streams, sigma: float) -> Tensor:
    """The mask bool [B,N] after a step that masks visible tokens again with probability σ ≤ σ_max."""
    # If nothing is masked, no revealed tokens have to compensate for those masked again.
    balance = sigma * (1 - step.share_now) / step.share_now if step.share_now else 0.0
    return jump(view, step, rng, share_revealed(step) + balance, sigma)


@dataclass(frozen=True)
class Cap:
    """ReMDM with σ = min(η, σ_max) (arXiv:2503.00307)."""

    eta: Share = 0.05
    requires: ClassVar[Requires] = "mask"

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        return expected(schedule, times)

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        return posterior(view, step, rng, min(self.eta, sigma_max(step)))


@dataclass(frozen=True)
class Rescale:
    """ReMDM with σ = η·σ_max (arXiv:2503.00307)."""

    eta: Share = 0.05
    requires: ClassVar[Requires] = "mask"

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        return expected(schedule, times)

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        return posterior(view, step, rng, self.eta * sigma_max(step))


@dataclass(frozen=True)
class Conf:
    """ReMDM with σ_i = η·σ_max·softmax(−ψ)_i over visible tokens, ψ_i the probability with which token i was drawn
    (arXiv:2503.00307).

    About one uncertain token per image is masked again in a step. Masked tokens have σ = 0, so that slightly more
    tokens are masked than in the schedule.
    """

    eta: Share = 1.0
    requires: ClassVar[Requires] = "mask"

    def check(self, parts: Parts, space: TokenSpace) -> None:
        need_codes("remdm_conf", space)

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        return expected(schedule, times)

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        # Before the first token is revealed, there are no probabilities.
        log_p = torch.zeros_like(view.mask, dtype=torch.float64) if view.log_p is None else view.log_p
        doubt = (-log_p.exp()).masked_fill(view.mask, -math.inf).softmax(-1).nan_to_num(0.0)
        return jump(view, step, rng, share_revealed(step), self.eta * sigma_max(step) * doubt)


@dataclass(frozen=True)
class Loop:
    """ReMDM-loop: reveal a share `alpha_on` of the tokens, then from t_on to t_off mask and redraw tokens at that share
    with σ = min(η, σ_max), then reveal the rest (arXiv:2503.00307).

    The sampling schedule is used before t_on and after t_off; with γ = t this is the piecewise linear schedule of the
    paper.
    """

    eta: Share = 0.05
    t_on: Share = 0.55
    t_off: Share = 0.05
    alpha_on: Share = 0.9
    requires: ClassVar[Requires] = "mask"

    def __post_init__(self) -> None:
        if not self.t_off < self.t_on < 1:
            raise ValueError(f"t_off ({self.t_off}) must be below t_on ({self.t_on}), and that below 1")

    def _share(self, schedule: MaskSchedule, t: Tensor) -> Tensor:
        """The masked share at times t [M]: decreasing to 1 − alpha_on, constant, then decreasing to 0."""
        before = schedule(((t - self.t_on) / (1 - self.t_on)).clamp_min(0))
        after = schedule((t / max(self.t_off, 1e-9)).clamp_max(1))
        return torch.where(t > self.t_on, 1 - self.alpha_on * (1 - before), (1 - self.alpha_on) * after)

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        return expected(lambda t: self._share(schedule, t), times)

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        looping = self.t_off < step.t <= self.t_on
        return posterior(view, step, rng, min(self.eta, sigma_max(step)) if looping else 0.0)


# Training as MaskGIT, as in the image experiment of the paper, so that both share a model.
REMDM = MASKGIT.change(sampler="remdm_cap")

BIBTEX = r"""
@misc{wang2025remasking,
  title = {Remasking Discrete Diffusion Models with Inference-Time Scaling},
  author = {Wang, Guanghan and Schiff, Yair and Sahoo, Subham Sekhar and Kuleshov, Volodymyr},
  year = {2025},
  eprint = {2503.00307},
  archivePrefix = {arXiv},
}
"""


@hookimpl
def mgbench_samplers() -> dict[str, type]:
    return {"remdm_cap": Cap, "remdm_rescale": Rescale, "remdm_conf": Conf, "remdm_loop": Loop}


@hookimpl
def mgbench_recipes() -> dict[str, Recipe]:
    return {"remdm": REMDM}


@hookimpl
def mgbench_references() -> dict[str, str]:
    return by_key(BIBTEX)
