"""Ψ-samplers: predictor-corrector sampling in single steps (Deschenaux et al., arXiv:2602.21185), for masked models.

A step from t to s draws each token from the posterior q(x_s | x_t, x_0) with probability κ, and otherwise from the
forward process q(x_s | x_0), with x_0 drawn by the model. With α = 1 − γ, a masked token is revealed with probability
κ·(α_s − α_t)/(1 − α_t) + (1 − κ)·α_s, and a visible one masked with (1 − κ)·(1 − α_s), which preserves the share of
masked tokens at every time. κ = 1 is `ancestral`; ReMDM (arXiv:2503.00307) with σ ≤ γ(s) has κ = 1 − σ/γ(s). Positions
are chosen without values, so vectors can be drawn as well as codes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from mgbench_plugins.maskgit import MASKGIT
from torch import Tensor

from mgbench.components.samplers.plans import expected, jump, share_revealed
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.bibtex import by_key
from mgbench.interfaces.components import MaskSchedule
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Requires, SamplerInput, Step
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.spec import Share


@dataclass(frozen=True)
class Psi:
    """Ψ-sampling with κ = `high` for t > 2/3, `middle` for t > 1/3, and `low` after that (arXiv:2602.21185)."""

    high: Share = 1.0
    middle: Share = 0.9
    low: Share = 1.0
    requires: ClassVar[Requires] = "mask"

    def kappa(self, t: float) -> float:
        """κ, the probability of the posterior, in a step that starts at t."""
        return self.high if t > 2 / 3 else self.middle if t > 1 / 3 else self.low

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        return expected(schedule, times)

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        # In this form κ = 1 is exactly the posterior, and the last step reveals everything.
        anew, posterior = 1 - self.kappa(step.t), share_revealed(step)
        reveal = posterior + anew * (1 - step.share_then - posterior)
        return jump(view, step, rng, reveal, anew * step.share_then)


# Training as MaskGIT, so that both share a model.
PSI = MASKGIT.change(sampler="psi")

BIBTEX = r"""
@misc{deschenaux2026psi,
  title = {The Diffusion Duality, Chapter {II}: {$\Psi$}-Samplers and Efficient Curriculum},
  author = {Deschenaux, Justin and Gulcehre, Caglar and Sahoo, Subham Sekhar},
  year = {2026},
  eprint = {2602.21185},
  archivePrefix = {arXiv},
}
"""


@hookimpl
def mgbench_samplers() -> dict[str, type]:
    return {"psi": Psi}


@hookimpl
def mgbench_recipes() -> dict[str, Recipe]:
    return {"psi": PSI}


@hookimpl
def mgbench_references() -> dict[str, str]:
    return by_key(BIBTEX)
