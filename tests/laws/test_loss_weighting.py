import pytest
import torch

from mgbench import testing
from tests.laws.registered import built, every

BROKEN = {
    "finite": lambda schedule, t, mask: mask / t[:, None],
    "positive": lambda schedule, t, mask: mask * t[:, None],
    "dtype of t": lambda schedule, t, mask: mask.to(torch.float16),
    "constants": lambda schedule, t, mask: mask.to(t.dtype).requires_grad_(),
    "no position": lambda schedule, t, mask: mask.to(t.dtype) * (1 + torch.arange(mask.shape[1])),
}


@every("loss_weighting")
def test_every_weighting_keeps_the_laws(name: str) -> None:
    testing.loss_weighting(built("loss_weighting", name))


@pytest.mark.parametrize("law", BROKEN)
def test_a_broken_weighting_breaks_its_law(law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        testing.loss_weighting(BROKEN[law])
