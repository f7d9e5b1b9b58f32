import math

import pytest
import torch

from mgbench import testing
from tests.laws.registered import built, every

BROKEN = {
    "be a number": lambda step: torch.ones(3),
    "finite": lambda step: math.inf if step.s == 0 else 1.0,
    "not negative": lambda step: step.s - 0.5,
}


@every("guidance_schedule")
def test_every_guidance_keeps_the_laws(name: str) -> None:
    testing.guidance_schedule(built("guidance_schedule", name))


@pytest.mark.parametrize("law", BROKEN)
def test_a_broken_guidance_breaks_its_law(law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        testing.guidance_schedule(BROKEN[law])
