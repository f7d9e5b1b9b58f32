import itertools
import math

import pytest
import torch
from mgbench_plugins.lpd import Locality, mgbench_recipes
from torch import Tensor

from mgbench.components.samplers.position_first import RandomOrder
from mgbench.errors import Unfit
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import SamplerInput, Step
from mgbench.registry.resolve import assemble
from mgbench.testing.toys import Evenly, Line
from tests.laws.registered import registry

SIDE = 8
SPACE = TokenSpace(SIDE * SIDE, 3, grid=(SIDE, SIDE))
IMAGES = Streams.root(0, "images").fold(torch.arange(20))


def drawn(sampler: Locality | RandomOrder, steps: int) -> list[list[tuple[Tensor, Tensor]]]:
    """Of every image and step: the cells [n,2] known before it, and those revealed in it."""
    mask = torch.ones(len(IMAGES.keys), SPACE.length, dtype=torch.bool)
    seen: list[list[tuple[Tensor, Tensor]]] = [[] for _ in mask]
    for step in sampler.plan(Line(), SPACE, Evenly()(steps), Streams.root(0, "shared")):
        then = sampler.choose(SamplerInput(SPACE, mask), step, IMAGES)
        for image, (before, after) in enumerate(zip(mask, then, strict=True)):
            seen[image].append((_cells(~before), _cells(before & ~after)))
        mask = then
    return seen


def _cells(where: Tensor) -> Tensor:
    places = where.nonzero().squeeze(1)
    return torch.stack([places // SIDE, places % SIDE], 1).double()


def closest(cells: Tensor) -> float:
    return min((float((a - b).norm()) for a, b in itertools.combinations(cells, 2)), default=math.inf)


def test_what_is_drawn_together_lies_apart_while_it_can() -> None:
    for image in drawn(Locality(), 16):
        assert all(closest(fresh) >= 2 for _, fresh in image[:8])


def test_what_is_drawn_lies_nearer_to_what_is_known_than_in_random_order() -> None:
    def mean(sampler: Locality | RandomOrder) -> float:
        near = [torch.cdist(fresh, known).amin(1).mean() for image in drawn(sampler, 16) for known, fresh in image[1:6]]
        return float(torch.stack(near).mean())

    assert mean(Locality()) < 0.8 * mean(RandomOrder())


def test_one_token_a_step_grows_from_a_random_one_without_a_gap() -> None:
    images = drawn(Locality(), 64)
    for image in images:
        assert all(float(torch.cdist(fresh, known).min()) == 1 for known, fresh in image[1:])
    assert len({tuple(image[0][1][0].tolist()) for image in images}) > 10


def test_where_all_are_near_the_farthest_is_taken() -> None:
    """On a line of nine with the middle known and nothing apart enough, the second is the end farthest from the first."""
    space = TokenSpace(9, 3, grid=(1, 9))
    mask = torch.ones(20, 9, dtype=torch.bool)
    mask[:, 4] = False
    then = Locality(apart=100).choose(SamplerInput(space, mask), Step(1, 4, 0.9, 0.7, 8 / 9, 6 / 9, 2), IMAGES)
    for fresh in (mask & ~then).nonzero()[:, 1].reshape(20, 2).tolist():
        assert fresh in ([0, 5], [3, 8])


def test_tokens_without_a_grid_are_refused() -> None:
    with pytest.raises(Unfit, match="distances on a grid"):
        Locality().check(Parts(), TokenSpace(8, 3))


def test_its_recipe_shares_the_model_of_maskgit() -> None:
    made = assemble(registry(), mgbench_recipes()["lpd"])
    assert made.unfit == ""
    assert made.keys.training == assemble(registry(), registry().recipes["maskgit"]["maskgit"]).keys.training
