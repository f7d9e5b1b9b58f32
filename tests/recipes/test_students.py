"""Teachers in a study: recipes of its own, settings of teachers, and what a change leaves to them."""

from pathlib import Path
from typing import Any

import pytest

from mgbench.errors import UserError
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.study import Outline, Study, read_study

OFFERED = {
    "master": {"master": Recipe.of(train_steps=1800, head="categorical(label_smoothing=0.1)", tokenizer="kmeans")},
    "pupil": {"pupil": Recipe.of(teacher="master", process="one_step", train_steps=800)},
}
SHORT = {"base": "master", "train_steps": 50, "head.depth": 2, "tokenizer": "patch", "seed": 3}


def study(*methods: str, own: Any = (), vary: Any = (), **changes: Any) -> Study:
    outline = Outline(methods=methods, own=dict(own), vary={"sampling_steps": (1,), **dict(vary)}, changes=changes)
    return outline.study(OFFERED)


def teachers(found: Study) -> list[str]:
    return [str(recipe.teacher) for _, recipe in found.expand()]


def test_a_recipe_of_the_study_teaches_as_its_base_with_what_it_sets_for_itself(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(
        'methods = ["quick"]\n[recipes.quick]\nbase = "pupil"\nteacher = "short"\n'
        '[recipes.short]\nbase = "master"\ntrain_steps = 50\nhead.depth = 2\ntokenizer = "patch"\nseed = 3\n'
    )
    found = read_study(path).study(OFFERED).recipes["quick"].teacher
    # Tokens and seed of a teacher are those of its student.
    assert str(found) == "master(train_steps=50, head=categorical(label_smoothing=0.1, depth=2))"
    assert teachers(study("pupil", own={"short": SHORT}, teacher="short")) == [str(found)]


def test_settings_go_over_those_of_a_recipe_that_teaches() -> None:
    found = study("pupil", own={"short": SHORT}, teacher="short", **{"teacher.train_steps": 7, "teacher.clip": 1.0})
    assert teachers(found) == ["master(train_steps=7, head=categorical(label_smoothing=0.1, depth=2), clip=1.0)"]


def test_a_recipe_of_the_study_with_the_name_of_a_method_teaches_in_its_place() -> None:
    found = study("pupil", own={"master": {"base": "master", "train_steps": 9}})
    assert teachers(found) == ["master(train_steps=9)"]


def test_teachers_vary_over_methods_and_recipes_of_the_study() -> None:
    found = study("pupil", own={"short": {"base": "master", "clip": 1.0}}, vary={"teacher": ("short", "master")})
    assert teachers(found) == ["master(clip=1.0)", "master"]


def test_a_teacher_of_a_teacher_may_be_of_the_study_too() -> None:
    own = {"short": {"base": "pupil", "train_steps": 5, "teacher": "first"}, "first": {"base": "master", "clip": 1.0}}
    assert teachers(study("pupil", own=own, teacher="short")) == ["pupil(train_steps=5, teacher=master(clip=1.0))"]


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"short": {"train_steps": 5}}, "recipes.short is a teacher without a base"),
        (
            {"shorter": {"base": "master"}},
            "no method is called 'short', and so none can teach; did you mean 'shorter'?",
        ),
        ({"short": {"base": "pupil", "teacher": "short"}}, "short would be taught by itself: short by short"),
        (
            {"short": {"base": "pupil", "teacher": "next"}, "next": {"base": "pupil", "teacher": "short"}},
            "would be taught by itself: short by next by short",
        ),
    ],
)
def test_a_recipe_that_cannot_teach_is_refused(own: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        study("pupil", own=own, teacher="short")


@pytest.mark.parametrize("where", ["changes", "vary"])
def test_settings_of_a_teacher_apply_to_recipes_that_have_one(where: str) -> None:
    name = "teacher.train_steps"
    given: Any = {"vary": {name: (50,)}} if where == "vary" else {name: 50}
    assert teachers(study("pupil", "master", **given)) == ["master(train_steps=50)", "None"]
    with pytest.raises(UserError, match="does not say which teacher it has"):
        list(study("master", **given).expand())


@pytest.mark.parametrize("given", [{"train_steps": 50}, {"vary": {"train_steps": (50, 60)}}])
def test_it_is_said_that_a_teacher_is_trained_as_before(given: Any) -> None:
    said = "train_steps does not apply to the teacher of pupil, master, which keeps 1800; teacher.train_steps does"
    assert study("pupil", "master", **given).notes == (said,)
    assert not study("pupil", **given, **{"teacher.train_steps": 40}).notes
    assert not study("master", **given).notes
    assert not study("pupil", train_steps=1800).notes
