import pytest
import torch

from mgbench import testing
from tests.laws.registered import built, every

BROKEN = {
    "finite": lambda schedule, t: 1 / t,
    "positive": lambda schedule, t: t,
    "shape and dtype": lambda schedule, t: torch.ones((), dtype=t.dtype),
    "constants": lambda schedule, t: torch.ones_like(t).requires_grad_(),
}


@every("loss_weighting")
def test_every_weighting_keeps_the_laws(name: str) -> None:
    testing.loss_weighting(built("loss_weighting", name))


@pytest.mark.parametrize("law", BROKEN)
def test_a_broken_weighting_breaks_its_law(law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        testing.loss_weighting(BROKEN[law])
