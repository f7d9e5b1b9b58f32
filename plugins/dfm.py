"""Discrete flow matching (Gat et al., arXiv:2407.15595), on the path from masked tokens to data.

Tokens change in a continuous-time Markov chain with a share κ = 1 − γ of visible tokens: a masked token is revealed at
the rate (1 + c)·κ′/(1 − κ), and with a corrector c > 0, a visible one is masked again at the rate c·κ′/κ.
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
from mgbench.recipes.spec import NotNegative


@dataclass(frozen=True)
class Euler:
    """At most one change per token and step: a masked token is revealed with probability 1 − (γ(s)/γ(t))^(1 + c), and a
    visible one masked with 1 − (κ(t)/κ(s))^c; the last step reveals all (arXiv:2407.15595).

    The corrector c = `corrector`·(1 − t)^`rise`·t^`fall` is evaluated at the start of the step. The rates are
    integrated over the step, so that without a corrector this equals `ancestral` for any number of steps. (The paper
    also freezes the rates, which follows κ only with small steps.)
    """

    corrector: NotNegative = 0.0
    rise: NotNegative = 0.0
    fall: NotNegative = 0.0
    requires: ClassVar[Requires] = "mask"

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        return expected(schedule, times)

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        c = self.corrector * (1 - step.t) ** self.rise * step.t**self.fall
        reveal = 1 - (1 - share_revealed(step)) ** (1 + c)
        now, then = 1 - step.share_now, 1 - step.share_then
        # Nothing may be masked after the last step, and nothing is visible before the first.
        again = 1 - (now / then) ** c if 0 < now <= then < 1 else 0.0
        return jump(view, step, rng, reveal, again)


# Training as MaskGIT, so that both share a model; the corrector measured best on the digits.
DFM = MASKGIT.change(sampler="dfm(corrector=1)")

BIBTEX = r"""
@misc{gat2024discrete,
  title = {Discrete Flow Matching},
  author = {Gat, Itai and Remez, Tal and Shaul, Neta and Kreuk, Felix and Chen, Ricky T. Q. and Synnaeve, Gabriel and
    Adi, Yossi and Lipman, Yaron},
  year = {2024},
  eprint = {2407.15595},
  archivePrefix = {arXiv},
}
"""


@hookimpl
def mgbench_samplers() -> dict[str, type]:
    return {"dfm": Euler}


@hookimpl
def mgbench_recipes() -> dict[str, Recipe]:
    return {"dfm": DFM}


@hookimpl
def mgbench_references() -> dict[str, str]:
    return by_key(BIBTEX)
