from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mgbench import testing
from tests.laws.registered import built, every


def evenly(steps: int) -> Tensor:
    return torch.linspace(1, 0, steps + 1, dtype=torch.float64)


BROKEN: dict[str, Callable[[int], Tensor]] = {
    "float64": lambda steps: evenly(steps).float(),
    "from 1": lambda steps: 0.9 * evenly(steps),
    "to about 0": lambda steps: 0.5 + 0.5 * evenly(steps),
    "must fall": lambda steps: evenly(steps).round(),
    "the same": lambda steps: evenly(steps) ** torch.rand(1).item(),
}


@every("time_grid")
def test_every_grid_keeps_the_laws(name: str) -> None:
    testing.time_grid(built("time_grid", name))


@pytest.mark.parametrize("law", BROKEN)
def test_a_broken_grid_breaks_its_law(law: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(AssertionError, match=law):
        testing.time_grid(BROKEN[law])
