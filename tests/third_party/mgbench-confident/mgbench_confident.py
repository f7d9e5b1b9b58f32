"""Confidence-aware parallel decoding (Fast-dLLM, Wu et al., arXiv:2505.22618), with the network and training of MaskGIT."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from mgbench_plugins.maskgit import MASKGIT
from torch import Tensor

from mgbench import Recipe, hookimpl
from mgbench.components.samplers.plans import expected, log_chances, lowest, need_codes
from mgbench.interfaces.components import MaskSchedule, Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Requires, SamplerInput, Step
from mgbench.recipes.spec import Share


@dataclass(frozen=True)
class Confident:
    """All tokens whose likeliest code has at least probability `threshold` are revealed, or else the most confident one.

    Every image has its own pace (Fast-dLLM, arXiv:2505.22618); the last step reveals all that are left.
    """

    threshold: Share = 0.9
    requires: ClassVar[Requires] = "logits"

    def check(self, parts: Parts, space: TokenSpace) -> None:
        need_codes("confident", space)

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        return expected(schedule, times)

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        if step.share_then == 0:
            return torch.zeros_like(view.mask)
        confidence = log_chances(view).exp().amax(-1)
        sure = view.mask & (confidence >= self.threshold)
        return view.mask & ~(sure | lowest(-confidence, view.mask, 1))


@hookimpl
def mgbench_samplers() -> dict[str, type]:
    return {"confident": Confident}


@hookimpl
def mgbench_recipes() -> dict[str, Recipe]:
    return {"fast_dllm": MASKGIT.change(sampler="confident")}


BIBTEX = r"""
@misc{wu2025fastdllm,
  title = {Fast-dLLM: Training-free Acceleration of Diffusion LLM by Enabling KV Cache and Parallel Decoding},
  author = {Wu, Chengyue and others},
  year = {2025},
  eprint = {2505.22618},
  archivePrefix = {arXiv},
}
"""


@hookimpl
def mgbench_references() -> dict[str, str]:
    return {"wu2025fastdllm": BIBTEX.strip()}
