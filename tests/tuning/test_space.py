"""The space of a search: ranges in specs, the recipe's own value first, and what cannot be searched."""

from collections.abc import Sequence
from typing import Any

import pytest

from mgbench.errors import UserError
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.spec import Spec
from mgbench.tuning.space import Range, Space, read_range, space_of

RECIPE = Recipe.of(
    guidance_schedule="interval(low=0.1, high=0.7, inner=constant(scale=2.0))",
    solver="dpmpp_3s(steps=8)",
    ema=[0.9, 0.99],
)
SPELLED = {**RECIPE.spelled(), "sampler": "random_order"}


class Scripted:
    """Gives the highest number, and one choice by its text."""

    def __init__(self, **chosen: str) -> None:
        self.chosen, self.asked = chosen, list[str]()

    def number(self, name: str, among: Range) -> float:
        self.asked.append(name)
        return among.high

    def choice(self, name: str, among: Sequence[str]) -> str:
        self.asked.append(name)
        return self.chosen.get(name, among[0])


def space(**values: Sequence[Any]) -> Space:
    return space_of(RECIPE, SPELLED, values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4..24", Range(4, 24)),
        ("0.0..0.4", Range(0.0, 0.4)),
        ("-1..2.5", Range(-1.0, 2.5)),
        ("cosine", None),
        ("1.5", None),
        (7, None),
    ],
)
def test_a_range_is_two_numbers(text: object, expected: Range | None) -> None:
    found = read_range(text)
    assert found == expected
    assert found is None or found.whole == (text == "4..24")


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(UserError, match=r"3..1 is empty; write the smaller number first"):
        read_range("3..1")


def test_numbers_have_three_digits_and_stay_in_their_range() -> None:
    assert Range(0.0, 1.0).rounded(0.123456) == 0.123
    assert Range(0.12345, 1.0).rounded(0.12345) == 0.12345
    assert Range(4, 24).rounded(7.0) == 7
    assert [Range(*ends).wide for ends in ((1, 9), (1, 10), (0, 10))] == [False, True, False]


def test_ranges_inside_a_component_are_filled() -> None:
    template = "interval(low=0.0..0.4, high=0.5..1.0, inner=constant(scale=1.0..6.0))"
    axis = space(guidance_schedule=[template])
    asked = Scripted(guidance_schedule=template)
    found = axis.suggest(asked)["guidance_schedule"]
    assert found == Spec.parse("interval(low=0.4, high=1.0, inner=constant(scale=6.0))")
    assert len(set(asked.asked)) == 4
    assert RECIPE.change(guidance_schedule=found).guidance_schedule == found


def test_what_is_left_as_it_is_changes_nothing() -> None:
    found = space(guidance_schedule=["none"], sampling_ema=[0.9, 0.99])
    assert found.suggest(Scripted()) == {}
    assert found.own_answers == {"guidance_schedule": str(RECIPE.guidance_schedule), "sampling_ema": "0.9"}
    assert found.suggest(Scripted(sampling_ema="0.99")) == {"sampling_ema": 0.99}


def test_a_range_of_an_option_has_the_recipes_own_number() -> None:
    axis = space(**{"solver.steps": ["10..24"]}).axes[0]
    assert axis.range == Range(8, 24)
    assert axis.own_answers == {"solver.steps": 8}
    assert axis.suggest(Scripted()) == 24


def test_values_can_be_left_out() -> None:
    whole = space(sampler=["halton", "psi"], **{"solver.steps": ["4..9"]})
    assert [axis.field for axis in whole.without({"sampler": whole.axes[0].others}).axes] == ["solver.steps"]
    assert [str(filled) for _, _, filled in whole.alternatives()] == ["halton", "psi", "4"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"network.width": ["8..64"]},
            "network decides the model, and a search changes only how a trained model is sampled",
        ),
        ({"metrics": ["fid"]}, "metrics decides the scores"),
        ({"sampla": ["halton"]}, "no field 'sampla'; did you mean 'samples'"),
        ({"solver.stepz": ["4..9"]}, "has no option 'stepz'; write the whole component"),
        ({"code_draw": ["softmax"]}, "nothing in this recipe asks for a code draw, so code_draw cannot be searched"),
    ],
)
def test_what_cannot_be_searched_is_told(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said.replace("(", r"\(")):
        space(**values)
