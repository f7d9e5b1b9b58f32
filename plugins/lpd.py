"""The generation order of locality-aware parallel decoding (Zhang et al., arXiv:2507.01957), for masked models.

Tokens depend most on their neighbours. The tokens of a step should therefore be close to known ones, and far from each
other, because they are drawn independently. The paper trains its own network with position queries; here only the order
is used. In contrast, `halton` ignores the known tokens.
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
    """Squared distances between all N cells of a grid, float32 [N,N], in units of cells."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack([rows.flatten(), columns.flatten()], 1).float()
    return (places[:, None] - places).square().sum(-1)


@dataclass(frozen=True)
class Locality:
    """Choose the tokens of a step greedily: the token closest to a known one among those at least `apart` cells from
    the others of the step, or else the one farthest from these (arXiv:2507.01957).

    Ties are broken by a random order drawn once for each image; counts are as in `random_order`. The default excludes
    neighbours, including diagonal ones, from the same step.
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
        near = _nearest(squares, ~view.mask).nan_to_num(posinf=0.0)  # nothing is known at the start
        # Squared distances are integers, so values below 1 only break ties.
        ties, hidden = rng.uniform(view.mask.shape[1]), view.mask
        others = torch.full_like(ties, torch.inf)
        for _ in range(step.reveal or 0):
            chosen = self._next(near, others, ties, hidden)
            hidden = hidden.scatter(1, chosen[:, None], False)
            others = torch.minimum(others, squares[chosen])
        return hidden

    def _next(self, near: Tensor, others: Tensor, ties: Tensor, hidden: Tensor) -> Tensor:
        """The token int64 [B] to reveal next, from squared distances [B,N] to known tokens and to the others of the
        step.
        """
        crowded = others < self.apart**2
        scores = torch.where(crowded, 1e9 - others, near) + ties
        return scores.masked_fill(~hidden, torch.inf).argmin(1)


def _nearest(squares: Tensor, known: Tensor) -> Tensor:
    """The squared distance [B,N] to the nearest cell in `known` bool [B,N]; infinite if there is none."""
    return torch.where(known[:, None], squares, torch.inf).amin(-1).double()


# Training as MaskGIT, so that both share a model.
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
