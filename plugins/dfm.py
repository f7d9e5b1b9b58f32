"""Discrete flow matching (Gat et al., arXiv:2407.15595), on the path from all masked to data.

Tokens jump in continuous time, at the rates of a flow that keeps a share κ = 1 − γ of them visible: a masked token is revealed
at the rate (1 + c)·κ′/(1 − κ), and, with a corrector c > 0, a visible one is masked again at the rate c·κ′/κ.
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
    """One jump a step at most: a masked token jumps with probability 1 − exp(−∫rate) = 1 − (γ(s)/γ(t))^(1 + c), a visible one
    with 1 − (κ(t)/κ(s))^c; the last step reveals all that are left.

    The corrector c = `corrector`·(1 − t)^`rise`·t^`fall` is that of the time before the step. The rates are integrated over
    the step, so that only c, and what the network sees, stand still in it: without a corrector this is `ancestral` at any
    number of steps. (The paper freezes the rates too, and so keeps to κ only in small steps.)
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
        # After the last step nothing may be masked; before the first nothing is visible.
        again = 1 - (now / then) ** c if 0 < now <= then < 1 else 0.0
        return jump(view, step, rng, reveal, again)


# The training of MaskGIT, and so one trained model with it; the corrector is the one that measured best on the digits.
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
