"""MaskGIT: masked generative image transformer (Chang et al., arXiv:2202.04200).

Codes of a tokenizer, a bidirectional transformer, the cosine schedule, and parallel decoding that keeps confident
tokens.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

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
class MaskGIT:
    """Keep the tokens of highest log-probability plus Gumbel noise, with noise decreasing from `temperature` to 0
    (arXiv:2202.04200).

    Counts are as in the official `parallel_decode`: floor(N·γ) stay masked, at least one and at least one fewer than
    before.
    """

    temperature: NotNegative = 4.5
    requires: ClassVar[Requires] = "values"

    def check(self, parts: Parts, space: TokenSpace) -> None:
        need_codes("maskgit", space)

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        return planned(schedule, space.length, times)

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        if view.log_p is None:
            raise ValueError("maskgit needs the log-probabilities of the values")
        annealed = self.temperature * (1 - (step.index + 1) / step.total)
        noise = rng.fold(2).fold(step.index).gumbel(view.mask.shape[1])
        return view.mask & ~lowest(-(view.log_p + annealed * noise), view.mask, step.reveal or 0)


# The choices of the paper; codes, budget and choice temperature (4.5 in the official configuration, for 256 tokens)
# measured best on the bundled digits.
MASKGIT = Recipe.of(
    tokenizer="kmeans(codes=128, size=2)",
    network="transformer",
    head="categorical(label_smoothing=0.1)",
    mask_schedule="cosine",
    masking="exact(rounding=ceil)",
    loss_weighting="uniform",
    sampler="maskgit(temperature=2.0)",
    guidance_schedule="none",
    train_steps=1800,
    ema=0.998,
)

BIBTEX = r"""
@misc{chang2022maskgit,
  title = {{MaskGIT}: Masked Generative Image Transformer},
  author = {Chang, Huiwen and Zhang, Han and Jiang, Lu and Liu, Ce and Freeman, William T.},
  year = {2022},
  eprint = {2202.04200},
  archivePrefix = {arXiv},
}
"""


@hookimpl
def mgbench_samplers() -> dict[str, type]:
    return {"maskgit": MaskGIT}


@hookimpl
def mgbench_recipes() -> dict[str, Recipe]:
    return {"maskgit": MASKGIT, "maskgit-unlabelled": MASKGIT.change(labels=False)}


@hookimpl
def mgbench_references() -> dict[str, str]:
    return by_key(BIBTEX)
