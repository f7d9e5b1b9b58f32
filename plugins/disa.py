"""DiSA: diffusion step annealing (Zhao et al., arXiv:2505.20297).

Early tokens have broad distributions, for which the head needs many evaluations; late tokens are nearly determined by
known ones. The number of evaluations therefore decreases over the sampling steps. It needs no training.
"""

from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, Literal

from mgbench_plugins.mar import MAR
from torch import Tensor

from mgbench.errors import Unfit
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.bibtex import by_key
from mgbench.interfaces.components import Parts, Predict, Solver
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.optional import evaluations
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Step
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.spec import Count, Part


@dataclass(frozen=True)
class Annealed:
    """A solver with a number of steps that decreases linearly from its own to `last` over the sampling steps
    (arXiv:2505.20297).
    """

    of: Annotated[Solver, Part("solver")]
    last: Count = 5

    def __post_init__(self) -> None:
        if "steps" not in {item.name for item in fields(self.of)}:  # type: ignore[arg-type]
            raise ValueError(
                "annealed changes the number of steps of another solver, and this one has no option `steps`"
            )
        if self.last > self.of.steps:
            raise ValueError(f"last ({self.last}) must be at most the steps of the solver ({self.of.steps})")

    @property
    def path(self) -> Literal["noise", "velocity"]:
        return self.of.path

    @property
    def steps(self) -> int:
        return self.of.steps

    @property
    def evaluations(self) -> int:
        return evaluations(self.of)

    def check(self, parts: Parts, space: TokenSpace) -> None:
        if not hasattr(parts, "sampler"):
            raise Unfit(
                "annealed needs a masked process, because it depends on its sampling steps; take the solver inside it"
            )

    def at(self, step: Step) -> Solver:
        done = step.index / max(1, step.total - 1)
        changed: Any = replace(self.of, steps=round(self.of.steps + (self.last - self.of.steps) * done))  # type: ignore[type-var]
        return changed  # type: ignore[no-any-return]

    def solve(self, predict: Predict, betas: Tensor, dim: int, rng: Streams) -> Tensor:
        return self.of.solve(predict, betas, dim, rng)


# Training as MAR, so that both share a model; the paper starts with half of MAR's 100 evaluations.
DISA = MAR.change(solver="annealed(of=ddpm(steps=50), last=5)")

BIBTEX = r"""
@misc{zhao2025disa,
  title = {{DiSA}: Diffusion Step Annealing in Autoregressive Image Generation},
  author = {Zhao, Qinyu and Singh, Jaskirat and Xu, Ming and Asthana, Akshay and Gould, Stephen and Zheng, Liang},
  year = {2025},
  eprint = {2505.20297},
  archivePrefix = {arXiv},
}
"""


@hookimpl
def mgbench_solvers() -> dict[str, type]:
    return {"annealed": Annealed}


@hookimpl
def mgbench_recipes() -> dict[str, Recipe]:
    return {"disa": DISA}


@hookimpl
def mgbench_references() -> dict[str, str]:
    return by_key(BIBTEX)
