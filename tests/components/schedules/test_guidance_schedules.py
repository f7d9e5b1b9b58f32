import math
from typing import Any

import pytest
import torch

from mgbench.components.schedules.guidance_schedules import (
    ByStep,
    Constant,
    Cosine,
    Interval,
    Linear,
    Power,
    PowerCosine,
    Unguided,
    advise_label_drop,
    scale_of,
)
from mgbench.interfaces.components import Parts
from mgbench.interfaces.sampling import Step
from mgbench.recipes.recipe import Recipe
from mgbench.registry.resolve import assemble
from tests.laws.registered import built, every, registry

# The share masked after each of four steps.
LEFT = [0.9, 0.6, 0.2, 0.0]
STEPS = [
    Step(i, 4, 1 - i / 4, 1 - (i + 1) / 4, now, then)
    for i, (now, then) in enumerate(zip([1, *LEFT], LEFT, strict=False))
]
REVEALED = [1 - left for left in LEFT]

# The formulas of the papers, for a scale of 4.
WRITTEN: dict[str, tuple[Any, list[float]]] = {
    "constant": (Constant(4), [4, 4, 4, 4]),
    "linear": (Linear(4), [1 + 3 * rho for rho in REVEALED]),
    "power": (Power(4, 2), [1 + 3 * rho**2 for rho in REVEALED]),
    "cosine": (Cosine(4), [1 + 3 * math.cos(math.pi / 2 * (1 - rho)) for rho in REVEALED]),
    "power_cosine": (PowerCosine(4), [(4 - 1) * (1 - math.cos(math.pi * (i / 4) ** 3)) / 2 + 1 for i in range(4)]),
    "by_step": (ByStep(4), [1, 2, 3, 4]),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_the_formula(name: str) -> None:
    schedule, expected = WRITTEN[name]
    assert [schedule(step) for step in STEPS] == pytest.approx(expected)


@pytest.mark.parametrize("name", sorted({"linear", "power", "cosine"}))
def test_what_follows_the_share_revealed_ends_at_the_whole_scale(name: str) -> None:
    assert WRITTEN[name][0](STEPS[-1]) == 4


@every("guidance_schedule")
def test_a_scale_of_one_is_never_more_than_one_pass(name: str) -> None:
    """Exactly 1, so that no unconditional pass is paid for."""
    schedule = built("guidance_schedule", name)
    plain = (
        Interval(0.1, 0.9, Constant(1)) if name == "interval" else type(schedule)(*[1.0] * hasattr(schedule, "scale"))
    )
    assert [plain(step) for step in STEPS] == [1.0] * 4


def test_the_first_step_of_a_ramp_is_free() -> None:
    assert ByStep(3)(STEPS[0]) == PowerCosine(3)(STEPS[0]) == 1.0
    assert ByStep(3)(Step(0, 1, 1, 0, 1, 0)) == 1.0


@pytest.mark.parametrize("inner", [Constant(3), Linear(3), PowerCosine(3), ByStep(3)], ids=repr)
def test_an_interval_wraps_any_schedule_and_leaves_its_lower_end_out(inner: Any) -> None:
    """The times after the steps are 0.75, 0.5, 0.25 and 0."""
    expected = [inner(step) if step.s in (0.5, 0.75) else 1.0 for step in STEPS]
    assert [Interval(0.25, 0.75, inner)(step) for step in STEPS] == expected


def test_an_interval_inside_an_interval() -> None:
    nested = Interval(0.2, 1.0, Interval(0.0, 0.6, Constant(2)))
    assert [nested(step) for step in STEPS] == [1, 2, 2, 1]


def test_an_empty_interval_is_refused() -> None:
    with pytest.raises(ValueError, match=r"low .* must be below high"):
        Interval(0.5, 0.5, Constant(2))


@pytest.mark.parametrize("strength", [0.0, 0.5, 3.0])
def test_the_two_conventions_are_one_push(strength: float) -> None:
    """(1 + s) c − s u = u + w (c − u) with w = 1 + s."""
    c, u = torch.randn(2, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close((1 + strength) * c - strength * u, u + scale_of(strength) * (c - u))


def test_by_step_is_the_ramp_of_papers_that_speak_of_the_strength() -> None:
    """s_i = s·i/(T − 1)."""
    ramp = [scale_of(2.5 * index / 3) for index in range(4)]
    assert [ByStep(scale_of(2.5))(step) for step in STEPS] == pytest.approx(ramp)


@every("guidance_schedule")
def test_guidance_wants_labels(name: str) -> None:
    spec = "interval(low=0.1, high=0.5, inner=cosine)" if name == "interval" else name
    unfit = assemble(registry(), Recipe.of(guidance_schedule=spec, labels=False)).unfit
    assert ("labels=False" in unfit) == (type(built("guidance_schedule", name)) is not Unguided)


@pytest.mark.parametrize(
    ("drop", "labels", "schedule", "warned"),
    [
        (0.0, True, Constant(2.0), True),
        (0.0, True, Interval(0.1, 0.3, Constant(2.0)), True),
        (0.1, True, Constant(2.0), False),
        (0.0, True, Constant(1.0), False),
        (0.0, True, Unguided(), False),
        (0.0, False, Unguided(), False),
    ],
)
def test_guidance_away_from_what_was_never_trained_is_warned_about(
    drop: float, labels: bool, schedule: Any, warned: bool
) -> None:
    said = advise_label_drop(Parts(labels=labels, guidance_schedule=schedule), drop)
    assert bool(said) == warned
    assert not warned or "set label_drop" in said[0]
