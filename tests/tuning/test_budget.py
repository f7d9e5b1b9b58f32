"""Forwards are counted before anything is drawn, and steps are as many as fit."""

from functools import partial

import pytest

from mgbench.errors import Unfit
from mgbench.registry.registry import Registry
from mgbench.registry.resolve import assemble
from mgbench.tuning.budget import Budget
from tests.doubles import TINY


def budget(registry: Registry, nfe: float, steps: bool = True) -> Budget:
    return Budget(nfe, partial(assemble, registry), steps)


@pytest.mark.parametrize(
    ("guidance", "nfe", "steps"),
    [
        # `tiny` has 4 tokens: more steps reveal nothing.
        ("none", 3, 3),
        ("none", 9, 4),
        ("constant(scale=2.0)", 4, 2),
        ("constant(scale=2.0)", 7, 3),
        # Guided in the first half of the time: of 3 steps that end at 2/3, 1/3 and 0, one costs two forwards.
        ("interval(low=0.5, high=1.0, inner=constant(scale=2.0))", 4, 3),
    ],
)
def test_steps_are_as_many_as_fit(registry: Registry, guidance: str, nfe: float, steps: int) -> None:
    found = budget(registry, nfe).fitted(TINY.change(guidance_schedule=guidance))
    assert found.sampling_steps == steps


def test_what_needs_more_with_any_number_of_steps_does_not_fit(registry: Registry) -> None:
    guided = TINY.change(guidance_schedule="constant(scale=2.0)")
    with pytest.raises(Unfit, match="it needs 2 forwards of the network with 1 sampling steps"):
        budget(registry, 1).fitted(guided)
    with pytest.raises(Unfit, match="it needs 6 forwards of the network with 3 sampling steps"):
        budget(registry, 4, steps=False).fitted(guided.change(sampling_steps=3))
    assert budget(registry, 6, steps=False).fitted(guided.change(sampling_steps=2)).sampling_steps == 2


def test_parts_that_do_not_fit_are_told(registry: Registry) -> None:
    with pytest.raises(Unfit, match="ranks codes"):
        budget(registry, 4).fitted(TINY.change(sampler="maskgit"))
