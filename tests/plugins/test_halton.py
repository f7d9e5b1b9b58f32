import math

import numpy as np
import pytest
import torch
from mgbench_plugins.halton import HALTON, Halton, halton_ranks, mgbench_recipes, radical_inverse
from scipy.stats import qmc
from torch import Tensor

from mgbench.errors import Unfit
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import SamplerInput, Step
from mgbench.registry.resolve import assemble
from tests.laws.registered import registry


def test_the_sequence_is_that_of_scipy() -> None:
    points = qmc.Halton(d=2, scramble=False).random(500)
    ours = [[radical_inverse(index, base) for base in (2, 3)] for index in range(500)]
    np.testing.assert_allclose(ours, points, atol=1e-12)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 16), (4, 4), (16, 16), (5, 7), (64, 64), (3, 1)])
def test_the_order_has_every_cell_once_on_any_grid(height: int, width: int) -> None:
    assert sorted(halton_ranks(height, width).tolist()) == list(range(height * width))


def test_the_order_begins_with_the_first_points() -> None:
    """(1/2, 1/3), (1/4, 2/3), (3/4, 1/9), (1/8, 4/9) on a grid of 8 by 9 cells."""
    order = halton_ranks(8, 9).argsort()[:4].tolist()
    assert order == [4 * 9 + 3, 2 * 9 + 6, 6 * 9 + 1, 1 * 9 + 4]


def test_early_cells_spread_more_evenly_than_random_ones() -> None:
    def nearest(cells: Tensor) -> float:
        places = torch.stack([cells // 16, cells % 16], 1).double()
        apart = torch.cdist(places, places) + 99 * torch.eye(len(cells))
        return float(apart.amin(1).mean())

    generator = torch.Generator().manual_seed(0)
    at_random = [nearest(torch.randperm(256, generator=generator)[:32]) for _ in range(100)]
    assert nearest(halton_ranks(16, 16).argsort()[:32]) > max(at_random)


def plan(steps: int, tokens: int = 256) -> list[Step]:
    def arccos(t: Tensor) -> Tensor:
        return (2 / math.pi) * torch.arccos(1 - t)

    times = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    return list(Halton().plan(arccos, TokenSpace(tokens, 1, grid=(16, 16)), times, Streams.root(0, "shared")))


def test_the_counts_are_those_of_the_official_sampler() -> None:
    """floor of the share revealed, with arccos in 32 steps over 256 tokens: 5 in the first, 41 in the last."""
    counts = [step.reveal or 0 for step in plan(32)]
    assert (counts[0], counts[-1], sum(counts)) == (5, 41, 256)
    upto = np.cumsum(counts)[:-1].tolist()
    assert upto == [int(256 * (1 - math.acos((k + 1) / 32) / (math.pi / 2))) for k in range(31)]


@pytest.mark.parametrize("steps", [1, 5, 16, 300])
def test_at_least_one_token_is_revealed_a_step(steps: int) -> None:
    counts = [step.reveal or 0 for step in plan(steps, tokens=16)]
    assert min(counts) >= 1
    assert sum(counts) == 16
    assert len(counts) <= steps


SPACE = TokenSpace(16, 3, grid=(4, 4))
MASK = torch.ones(3000, 16, dtype=torch.bool)
IMAGES = Streams.root(0, "images").fold(torch.arange(3000))
FIRST = Step(0, 4, 1.0, 0.75, 1.0, 0.75, 4)


def test_all_images_have_one_order_unless_it_is_rolled() -> None:
    order = halton_ranks(4, 4).argsort()
    then = Halton().choose(SamplerInput(SPACE, MASK), FIRST, IMAGES)
    assert (then == then[:1]).all()
    assert sorted((~then[0]).nonzero().flatten().tolist()) == sorted(order[:4].tolist())
    rolled = ~Halton(roll=True).choose(SamplerInput(SPACE, MASK), FIRST, IMAGES)
    assert (rolled.double().mean(0) - 0.25).abs().max() < 0.04
    stretches = {tuple(sorted(order.roll(-start)[:4].tolist())) for start in range(16)}
    assert {tuple(row.nonzero().flatten().tolist()) for row in rolled} == stretches


def test_a_rolled_order_goes_on_where_it_was() -> None:
    sampler, mask, counts = Halton(roll=True), MASK, []
    for index in range(4):
        now = Step(index, 4, 1 - index / 4, 0.75 - index / 4, 1 - index / 4, 0.75 - index / 4, 4)
        mask = sampler.choose(SamplerInput(SPACE, mask), now, IMAGES)
        counts.append(mask.sum(1).unique().tolist())
    assert counts == [[12], [8], [4], [0]]


def test_tokens_without_a_grid_have_no_such_order() -> None:
    with pytest.raises(Unfit, match="random_order"):
        Halton().check(Parts(), TokenSpace(32, 1, codes=4))
    with pytest.raises(ValueError, match="grid"):
        Halton().choose(SamplerInput(TokenSpace(16, 1), MASK), FIRST, IMAGES)


@pytest.mark.parametrize("name", sorted(mgbench_recipes()))
def test_its_recipes_can_be_put_together(name: str) -> None:
    assert assemble(registry(), registry().recipes["halton"][name]).unfit == ""
    assert assemble(registry(), HALTON.change(tokenizer="patch", head="diffusion")).unfit == ""
