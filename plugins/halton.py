"""Halton scheduler for masked generative image transformers (Besnier et al., arXiv:2503.17076).

MaskGIT's confidence reveals clusters of nearby tokens, which depend on each other; a low-discrepancy order spreads the
tokens of a step over the image. It does not use probabilities, so it works for vectors as well as codes.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
from mgbench_plugins.maskgit import MASKGIT
from torch import Tensor

from mgbench.components.samplers.plans import SLACK, counted, lowest
from mgbench.errors import Unfit
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.bibtex import by_key
from mgbench.interfaces.components import MaskSchedule, Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Requires, SamplerInput, Step
from mgbench.recipes.recipe import Recipe

BASES = (2, 3)


def radical_inverse(index: int, base: int) -> float:
    """The radical inverse: the digits of an integer in a base, mirrored at the point, so that 6 = 110₂ gives 0.011₂."""
    value, digit = 0.0, 1.0
    while index:
        digit /= base
        index, rest = divmod(index, base)
        value += digit * rest
    return value


@cache
def halton_ranks(height: int, width: int) -> Tensor:
    """The rank int64 [N] of each of the N = `height`·`width` cells of a grid in the Halton sequence of bases 2 (down)
    and 3 (across).
    """
    ranks: dict[int, int] = {}
    index = 0
    # It terminates, because the sequence visits every cell.
    while len(ranks) < height * width:
        index += 1
        down, across = (radical_inverse(index, base) for base in BASES)
        ranks.setdefault(math.floor(down * height) * width + math.floor(across * width), len(ranks))
    return torch.tensor([ranks[cell] for cell in range(height * width)])


@dataclass(frozen=True)
class Halton:
    """Reveal tokens in the order of a Halton sequence on the grid, with `roll` from a random start for each image
    (arXiv:2503.17076).

    As in the official sampler, floor(N·(1 − γ(s))) tokens are revealed by time s, and at least one per step.
    """

    roll: bool = False
    requires: ClassVar[Requires] = "mask"

    def check(self, parts: Parts, space: TokenSpace) -> None:
        if space.grid is None:
            raise Unfit("halton orders the cells of a grid, and these tokens have none; take sampler=random_order")

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        tokens = space.length
        floors = ((1 - schedule(times[1:-1])) * tokens + SLACK).floor().long().tolist()
        revealed = [min(tokens, max(index + 1, count)) for index, count in enumerate(floors)]
        return counted(tokens, times, [tokens, *(tokens - count for count in revealed), 0])

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        if view.space.grid is None:
            raise ValueError("halton needs the grid of the tokens")
        ranks = halton_ranks(*view.space.grid).to(view.mask.device).expand_as(view.mask)
        if self.roll:
            tokens = view.mask.shape[1]
            ranks = (ranks + (rng.uniform(1) * tokens).long()) % tokens
        return view.mask & ~lowest(ranks.double(), view.mask, step.reveal or 0)


# Training as MaskGIT, so that both share a model.
HALTON = MASKGIT.change(sampler="halton")

BIBTEX = r"""
@misc{besnier2025halton,
  title = {{Halton} Scheduler for Masked Generative Image Transformer},
  author = {Besnier, Victor and Chen, Mickael and Hurych, David and Valle, Eduardo and Cord, Matthieu},
  year = {2025},
  eprint = {2503.17076},
  archivePrefix = {arXiv},
}
"""


@hookimpl
def mgbench_samplers() -> dict[str, type]:
    return {"halton": Halton}


@hookimpl
def mgbench_recipes() -> dict[str, Recipe]:
    return {"halton": HALTON}


@hookimpl
def mgbench_references() -> dict[str, str]:
    return by_key(BIBTEX)
