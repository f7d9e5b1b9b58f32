"""Locality-aware parallel decoding (Zhang et al., arXiv:2507.01957): its order of tokens, for masked models.

Tokens depend most on their neighbours. So those that are drawn next should lie near what is known, which tells most about them,
and far from each other, because what is drawn together is drawn independently. The paper trains a network of its own, with
queries at any position; here only the order is taken, beside `halton`, which spreads tokens without a look at what is known.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
from mgbench_plugins.maskgit import MASKGIT
from torch import Tensor

from mgbench.components.samplers.plans import planned
from mgbench.errors import Unfit
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.bibtex import by_key
from mgbench.interfaces.components import MaskSchedule, Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Requires, SamplerInput, Step
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.spec import NotNegative


@cache
def squared_distances(height: int, width: int) -> Tensor:
    """Between all cells of a grid, float32 [height·width, height·width], in cells."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack([rows.flatten(), columns.flatten()], 1).float()
    return (places[:, None] - places).square().sum(-1)


@dataclass(frozen=True)
class Locality:
    """The tokens of a step one by one: of those at least `apart` cells from the others of the step the one nearest to a known
    token; where there is none, the one farthest from the others.

    Ties are broken by an order that is drawn once for each image; counts as in `random_order`. The default keeps neighbours,
    diagonal ones too, out of one step.
    """

    apart: NotNegative = 2.0
    requires: ClassVar[Requires] = "mask"

    def check(self, parts: Parts, space: TokenSpace) -> None:
        if space.grid is None:
            raise Unfit("locality measures distances on a grid, and these tokens have none; take sampler=random_order")

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: Tensor, shared: Streams) -> Iterable[Step]:
        return planned(schedule, space.length, times)

    def choose(self, view: SamplerInput, step: Step, rng: Streams) -> Tensor:
        if view.space.grid is None:
            raise ValueError("locality needs the grid of the tokens")
        squares = squared_distances(*view.space.grid).to(view.mask.device)
        near = _nearest(squares, ~view.mask).nan_to_num(posinf=0.0)  # nothing is known at first
        # Squared distances are whole numbers, so that what is below 1 only breaks ties.
        ties, hidden = rng.uniform(view.mask.shape[1]), view.mask
        others = torch.full_like(ties, torch.inf)
        for _ in range(step.reveal or 0):
            chosen = self._next(near, others, ties, hidden)
            hidden = hidden.scatter(1, chosen[:, None], False)
            others = torch.minimum(others, squares[chosen])
        return hidden

    def _next(self, near: Tensor, others: Tensor, ties: Tensor, hidden: Tensor) -> Tensor:
        """The token [B] to reveal next, from squared distances [B,N] to what is known and to the others of the step."""
        crowded = others < self.apart**2
        scores = torch.where(crowded, 1e9 - others, near) + ties
        return scores.masked_fill(~hidden, torch.inf).argmin(1)


def _nearest(squares: Tensor, known: Tensor) -> Tensor:
    """The squared distance [B,N] to the nearest known [B,N] cell, infinite where none is known."""
    return torch.where(known[:, None], squares, torch.inf).amin(-1).double()


# The training of MaskGIT, and so one trained model with it.
LPD = MASKGIT.change(sampler="locality")

BIBTEX = r"""
@misc{zhang2025locality,
  title = {Locality-aware Parallel Decoding for Efficient Autoregressive Image Generation},
  author = {Zhang, Zhuoyang and Huang, Luke J. and Wu, Chengyue and Yang, Shang and Peng, Kelly and Lu, Yao and Han, Song},
  year = {2025},
  eprint = {2507.01957},
  archivePrefix = {arXiv},
}
"""


@hookimpl
def mgbench_samplers() -> dict[str, type]:
    return {"locality": Locality}


@hookimpl
def mgbench_recipes() -> dict[str, Recipe]:
    return {"lpd": LPD}


@hookimpl
def mgbench_references() -> dict[str, str]:
    return by_key(BIBTEX)
