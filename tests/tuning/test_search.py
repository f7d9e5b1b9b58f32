"""The search: it finds the optimum of known objectives, begins with the recipe as it is, and repeats itself."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from mgbench.errors import UserError
from mgbench.recipes.recipe import Recipe
from mgbench.tuning.search import AT_RANDOM, Judge, Plan, Score, Tried, best, search
from mgbench.tuning.space import Space, space_of

RECIPE = Recipe.of(solver="dpmpp_3s(steps=8)", guidance_schedule="constant(scale=1.5)", sampler="random_order")
SPACE = space_of(
    RECIPE,
    RECIPE.spelled(),
    {
        "solver.steps": ["4..24"],
        "guidance_schedule": ["constant(scale=1.0..6.0)", "none"],
        "sampler": ["halton", "ancestral", "planned"],
    },
)


def valley(changes: Mapping[str, Any]) -> float:
    """Least, 0, at 17 steps, scale 3.2 and halton: a sum of squares and a price for every other sampler."""
    guidance = changes.get("guidance_schedule", RECIPE.guidance_schedule)
    scale = dict(guidance.options).get("scale", 1.0)
    sampler = str(changes.get("sampler", "random_order"))
    return 0.05 * (changes.get("solver.steps", 8) - 17) ** 2 + (scale - 3.2) ** 2 + 4 * (sampler != "halton")


def judged(suggestions: Sequence[Mapping[str, Any]]) -> list[Score]:
    return [Score(valley(changes)) for changes in suggestions]


def tried(plan: Plan, judge: Judge = judged, space: Space = SPACE) -> list[Tried]:
    return [each for some in search(space, plan, judge) for each in some]


def test_it_finds_the_optimum_of_a_known_objective() -> None:
    found = best(tried(Plan(80)))
    assert found is not None
    assert found.score.value is not None
    assert str(found.changes["sampler"]) == "halton"
    assert found.score.value < 0.6
    # As many suggestions at random do not come as close.
    at_random = [each.score.value or 0.0 for each in tried(Plan(80, together=80))]
    assert found.score.value < min(at_random)


def test_the_better_direction_may_be_up() -> None:
    def negative(suggestions: Sequence[Mapping[str, Any]]) -> list[Score]:
        return [Score(-valley(changes)) for changes in suggestions]

    up = tried(Plan(30, higher=True), negative)
    assert [each.changes for each in up] == [each.changes for each in tried(Plan(30))]
    assert best(up, higher=True) == min(up, key=lambda each: -(each.score.value or 0.0))


def test_the_first_suggestion_is_the_recipe_as_it_is() -> None:
    first = tried(Plan(1))[0]
    assert (first.number, dict(first.changes)) == (0, {})


def test_it_repeats_itself_and_a_longer_search_begins_as_a_shorter_one() -> None:
    short, longer = tried(Plan(15, seed=3)), tried(Plan(25, seed=3))
    assert longer[: len(short)] == short == tried(Plan(15, seed=3))
    assert tried(Plan(15, seed=4)) != short
    assert [each.number for each in longer] == list(range(25))


def test_suggestions_are_scored_some_at_a_time() -> None:
    sizes = []

    def counting(suggestions: Sequence[Mapping[str, Any]]) -> list[Score]:
        sizes.append(len(suggestions))
        return judged(suggestions)

    tried(Plan(8, together=3), counting)
    assert sizes == [3, 3, 2]


def test_what_has_no_score_teaches_nothing_and_never_wins() -> None:
    def picky(suggestions: Sequence[Mapping[str, Any]]) -> list[Score]:
        return [Score(None, "too dear") if "sampler" in changes else Score(valley(changes)) for changes in suggestions]

    found = tried(Plan(AT_RANDOM + 10), picky)
    assert {each.score.reason for each in found} == {"", "too dear"}
    winner = best(found)
    assert winner is not None
    assert "sampler" not in winner.changes
    assert best([each for each in found if each.score.reason]) is None


def test_of_equals_the_first_wins() -> None:
    flat = tried(Plan(5), lambda suggestions: [Score(1.0)] * len(suggestions))
    assert best(flat) == flat[0]


def test_without_optuna_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"pip install 'mgbench\[tune\]'"):
        tried(Plan(1))
