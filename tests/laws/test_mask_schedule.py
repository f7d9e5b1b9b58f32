import pytest
import torch

from mgbench import testing
from tests.laws.registered import built, every

BROKEN = {
    "must never fall": lambda t: torch.where(t < 0.5, t, 0.9 * t + 0.05 - 0.1 * (t < 0.9)),
    "in \\[0, 1\\]": lambda t: 1.1 * t,
    "γ\\(0\\)": lambda t: 0.5 + t / 2,
    "γ\\(1\\)": lambda t: t / 2,
    "dtype": lambda t: t.double(),
    "shape": lambda t: t[:-1],
    "elementwise": lambda t: t * (0.99 if t.numel() == 257 else 0.98),
    "differentiable": lambda t: torch.sin(torch.pi / 2 * t).detach() + 0 * t,
}


@every("mask_schedule")
def test_every_schedule_keeps_the_laws(name: str) -> None:
    testing.mask_schedule(built("mask_schedule", name))


@pytest.mark.parametrize("law", BROKEN)
def test_a_broken_schedule_breaks_its_law(law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        testing.mask_schedule(BROKEN[law])
