"""Muse: masked generative transformers (Chang et al., arXiv:2301.00704), without its text.

MaskGIT with a different parallel decoding: codes are drawn at a decreasing temperature, and ranked by their logits.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from mgbench_plugins.maskgit import MASKGIT
from torch import Tensor

from mgbench.components.samplers.plans import lowest, need_codes, planned
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.bibtex import by_key
from mgbench.interfaces.components import MaskSchedule, Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Requires, SamplerInput, Step
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.spec import NotNegative


@dataclass(frozen=True)
class Muse:
    """Draw codes at τ = `temperature`·(1 − (k + 1)/T), and keep those of highest logit + τ·Gumbel; the last step is
    greedy (arXiv:2301.00704).

    Logits of different tokens are compared without normalisation to log-probabilities.
    """

    temperature: NotNegative = 4.5
    requires: ClassVar[Requires] = "logits"

    def check(self, parts: Parts, space: TokenSpace) -> None:
        need_codes("muse", space)

    def value_temperature(self, step: Step) -> float:
        # With more steps than tokens, the last step has k < T − 1.
        return self.temperature * (1 - (step.index + 1) / step.total) if step.share_then else 0.0

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        return planned(schedule, space.length, times)

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        if view.log_p is None or view.logits is None:
            raise ValueError("muse needs the logits of a head of codes")
        logit = view.log_p + view.logits.logsumexp(-1)
        noise = rng.fold(2).fold(step.index).gumbel(view.mask.shape[1])
        return view.mask & ~lowest(-(logit + self.value_temperature(step) * noise), view.mask, step.reveal or 0)


# Training as MaskGIT, so that both share a model. The temperature measured best on the bundled digits; 128 codes need a
# lower one than the thousands of a large tokenizer.
MUSE = MASKGIT.change(sampler="muse(temperature=2.0)")

BIBTEX = r"""
@misc{chang2023muse,
  title = {Muse: Text-To-Image Generation via Masked Generative Transformers},
  author = {Chang, Huiwen and Zhang, Han and Barber, Jarred and Maschinot, A. J. and Lezama, Jos{\'e} and Jiang, Lu and
    Yang, Ming-Hsuan and Murphy, Kevin and Freeman, William T. and Rubinstein, Michael and Li, Yuanzhen and Krishnan,
    Dilip},
  year = {2023},
  eprint = {2301.00704},
  archivePrefix = {arXiv},
}
"""


@hookimpl
def mgbench_samplers() -> dict[str, type]:
    return {"muse": Muse}


@hookimpl
def mgbench_recipes() -> dict[str, Recipe]:
    return {"muse": MUSE}


@hookimpl
def mgbench_references() -> dict[str, str]:
    return by_key(BIBTEX)
