"""A recipe reads text, refuses what it does not know, and its keys change exactly with what decides them."""

from dataclasses import fields, replace
from typing import Any, get_args

import pytest

from mgbench.errors import UserError
from mgbench.recipes.keys import Answer, Keys, choices, make_keys
from mgbench.recipes.kinds import KINDS, STAGES, Decides
from mgbench.recipes.normal import Node
from mgbench.recipes.recipe import FIELDS, Recipe, decides
from mgbench.recipes.spec import Spec

SETTINGS: dict[str, Any] = {
    "metrics": ("fid",),
    "teacher": "a_method",
    "labels": False,
    "weights": "0123456789abcdef" * 4,
    "mirror": True,
    "token_precision": "float16",
    "train_steps": 7,
    "batch_size": 7,
    "learning_rate": 0.5,
    "warmup_steps": 7,
    "lr_decay": "cosine",
    "weight_decay": 0.5,
    "clip": 0.5,
    "accumulate": 7,
    "ema": 0.5,
    "precision": "float32",
    "compile": "on",
    "parallel": "fsdp",
    "recompute": True,
    "seed": 7,
    "sample_seed": 7,
    "sampling_steps": 7,
    "sampling_ema": 0.5,
    "sampling_compile": "on",
    "sampling_precision": "bfloat16",
    "label_distribution": "data",
    "samples": 7,
    "reference": "test",
}


def answers(recipe: Recipe) -> dict[str, Answer]:
    """What an assembly would make of the recipe, were every spec spelled as it is looked up."""
    specs = {kind: getattr(recipe, kind) or KINDS[kind].default or Spec("other") for kind in KINDS}
    found = {kind: Answer(str(spec), (Node("tests.files", "class_folders"),)) for kind, spec in specs.items()}
    return {**found, "metrics": Answer(", ".join(map(str, recipe.metrics)))}


def keys(recipe: Recipe) -> Keys:
    return keys_of(recipe, answers(recipe))


def keys_of(recipe: Recipe, found: dict[str, Answer], data: str = "data") -> Keys:
    return make_keys(recipe, choices(found), data)


def changed(one: Keys, other: Keys) -> tuple[bool, ...]:
    """Whether each key of a recipe changed, in the order of `Keys`."""
    return tuple(getattr(one, item.name) != getattr(other, item.name) for item in fields(Keys))


EXPECTED = {
    "tokens": (True, True, True, True, True),
    "model": (False, True, True, True, False),
    "images": (False, False, True, True, False),
    "scores": (False, False, False, True, True),
    "nothing": (False,) * 5,
}


def expected(name: str) -> tuple[bool, ...]:
    """As many images are reconstructed as are sampled, with labels in the same shares, so that they are scored alike."""
    shared = ("samples", "label_distribution")
    return (False, False, True, True, True) if name in shared else EXPECTED[decides(name)]


def test_text_is_read_as_specs() -> None:
    recipe = Recipe(mask_schedule="exp(rate=3)", metrics=["fid", "kid(subsets=2)"])  # type: ignore[arg-type]
    assert recipe.mask_schedule == Spec("exp", options=(("rate", 3),))
    assert recipe.metrics == (Spec("fid"), Spec("kid", options=(("subsets", 2),)))
    assert Recipe(metrics="fid").metrics == (Spec("fid"),)  # type: ignore[arg-type]


def test_every_field_is_covered_by_the_tests_of_the_keys() -> None:
    assert set(SETTINGS) | set(KINDS) == set(FIELDS)


@pytest.mark.parametrize("name", list(SETTINGS))
def test_a_setting_changes_the_keys_it_decides_and_no_others(name: str) -> None:
    recipe = Recipe()
    assert changed(keys(recipe), keys(recipe.change(**{name: SETTINGS[name]}))) == expected(name)


def test_to_sample_with_the_seed_itself_is_what_a_recipe_without_a_sampling_seed_does() -> None:
    recipe = Recipe(seed=3)
    assert keys(recipe.change(sample_seed=3)) == keys(recipe) != keys(recipe.change(sample_seed=0))


@pytest.mark.parametrize("name", list(KINDS))
def test_a_component_changes_the_keys_it_decides_and_no_others(name: str) -> None:
    recipe = Recipe()
    assert changed(keys(recipe), keys(recipe.change(**{name: "another(x=1)"}))) == expected(name)


@pytest.mark.parametrize("name", list(KINDS))
def test_the_source_of_a_component_changes_the_keys_it_decides_and_no_others(name: str) -> None:
    recipe = Recipe()
    before = answers(recipe)
    edited = replace(before[name], makers=(Node("tests.files", "*"),))
    assert changed(keys_of(recipe, before), keys_of(recipe, {**before, name: edited})) == expected(name)


@pytest.mark.parametrize("name", list(KINDS))
def test_the_content_of_the_files_of_a_component_changes_the_keys_it_decides_and_no_others(name: str) -> None:
    recipe = Recipe()
    before = answers(recipe)
    other = replace(before[name], content="other weights")
    assert changed(keys_of(recipe, before), keys_of(recipe, {**before, name: other})) == expected(name)


def test_other_data_change_every_key() -> None:
    recipe = Recipe()
    assert changed(keys(recipe), keys_of(recipe, answers(recipe), "other data")) == (True,) * 5


@pytest.mark.parametrize("name", list(SETTINGS))
def test_a_setting_spelled_out_at_its_default_changes_nothing(name: str) -> None:
    assert keys(Recipe(**{name: FIELDS[name].default})) == keys(Recipe())


def test_three_and_three_point_nought_are_one_setting() -> None:
    assert keys(Recipe(clip=3)) == keys(Recipe(clip=3.0)) == keys(Recipe())
    assert keys(Recipe(learning_rate=1)) == keys(Recipe(learning_rate=1.0))


def test_the_order_in_which_answers_were_found_changes_nothing() -> None:
    recipe = Recipe()
    found = answers(recipe)
    assert keys_of(recipe, found) == keys_of(recipe, dict(reversed(found.items())))


def test_every_field_says_what_it_decides() -> None:
    """A new setting is refused here until it is one of the five."""
    unsaid = [name for name, item in FIELDS.items() if name not in KINDS and "decides" not in item.metadata]
    assert not unsaid
    assert {decides(name) for name in FIELDS} <= set(get_args(Decides))


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_is_decided_by_something(stage: str) -> None:
    assert any(decides(name) == stage for name in FIELDS)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"mask_scedule": "cosine"}, r"no field 'mask_scedule'; did you mean 'mask_schedule'\?"),
        ({"steps": 3}, r"no field 'steps'"),
        ({"trainSteps": 3}, r"did you mean 'train_steps'\?"),
    ],
)
def test_an_unknown_field_is_refused_with_the_nearest(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Recipe().change(**fields)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("train_steps", 0),
        ("train_steps", 1.5),
        ("train_steps", "many"),
        ("learning_rate", "0.1"),
        ("learning_rate", 0),
        ("learning_rate", float("inf")),
        ("labels", 1),
        ("labels", "yes"),
        ("lr_decay", "linear"),
        ("ema", 1.5),
        ("seed", -1),
        ("seed", True),
        ("sampling_steps", None),
        ("mask_schedule", 5),
        ("mask_schedule", True),
        ("mask_schedule", "exp("),
        ("metrics", 5),
        ("metrics", None),
        ("metrics", True),
        ("metrics", [5]),
    ],
)
def test_a_value_that_does_not_fit_its_field_is_refused(name: str, value: object) -> None:
    with pytest.raises(UserError):
        Recipe().change(**{name: value})


def test_the_message_names_field_and_value() -> None:
    with pytest.raises(UserError, match="recipe: train_steps is 0, and should be greater than 0"):
        Recipe(train_steps=0)


def test_a_recipe_is_plain_values_once_spelled() -> None:
    spelled = Recipe(mask_schedule="exp(rate=3)", seed=2).spelled()  # type: ignore[arg-type]
    assert spelled["mask_schedule"] == "exp(rate=3)"
    assert spelled["metrics"] == ["fid", "kid", "accuracy"]
    assert spelled["sampler"] is None
    assert spelled["seed"] == 2
    assert set(spelled) == set(FIELDS)


def test_equal_recipes_are_equal_and_hashable() -> None:
    assert Recipe(sampler="a(x=1)") == Recipe(sampler="a(x = 1)")  # type: ignore[arg-type]
    assert len({Recipe(), Recipe(), Recipe(seed=1)}) == 2


HEAD = Recipe.of(
    head="diffusion(depth=2, noise_samples=2)", guidance_schedule="interval(low=0.1, high=0.5, inner=constant(scale=2))"
)


@pytest.mark.parametrize(
    ("fields", "name", "said"),
    [
        ({"head": "diffusion(width=8)"}, "head", "diffusion(depth=2, noise_samples=2, width=8)"),
        ({"head": "diffusion(depth=3)"}, "head", "diffusion(depth=3, noise_samples=2)"),
        ({"head": "diffusion"}, "head", "diffusion(depth=2, noise_samples=2)"),
        ({"head": "flow(width=8)"}, "head", "flow(width=8)"),
        ({"head": None}, "head", "None"),
        ({"head": "diffusion(8)"}, "head", "diffusion(8)"),
        ({"head.width": 8}, "head", "diffusion(depth=2, noise_samples=2, width=8)"),
        ({"head": {"width": 8, "depth": 1}}, "head", "diffusion(depth=1, noise_samples=2, width=8)"),
        ({"network.width": 8}, "network", "mae(width=8)"),
        (
            {"guidance_schedule.inner.scale": 3.0},
            "guidance_schedule",
            "interval(low=0.1, high=0.5, inner=constant(scale=3.0))",
        ),
        ({"guidance_schedule.inner": Spec("linear")}, "guidance_schedule", "interval(low=0.1, high=0.5, inner=linear)"),
    ],
)
def test_a_change_keeps_the_options_that_it_does_not_give(fields: dict[str, Any], name: str, said: str) -> None:
    assert str(getattr(HEAD.change(**fields), name)) == said


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"guidance_schedule": "linear(2)", "guidance_schedule.scale": 0.2}, "give them by name"),
        ({"heads.width": 8}, r"no field 'heads'; did you mean 'head'\?"),
        ({"seed.width": 8}, "seed is no component, and has no option 'width'"),
        ({"solver.steps": 8}, "does not say which solver it has; set solver itself first"),
        ({"network.inner.width": 8}, "does not say which component inner is"),
    ],
)
def test_an_option_that_cannot_be_changed_alone_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        HEAD.change(**fields)


def test_options_by_place_are_kept_by_place() -> None:
    recipe = Recipe.of(guidance_schedule="interval(0.1, 0.5, constant(2))")
    assert str(recipe.change(guidance_schedule="interval(0.2)").guidance_schedule) == "interval(0.2, 0.5, constant(2))"


@pytest.mark.parametrize(("was", "now"), [(True, "balanced"), (False, "uniform")])
def test_balanced_labels_is_understood_for_one_version(was: bool, now: str) -> None:
    with pytest.warns(FutureWarning, match=f"balanced_labels={str(was).lower()} is now label_distribution={now}"):
        assert Recipe.of(balanced_labels=was) == Recipe.of(label_distribution=now)


def test_a_former_field_takes_what_it_took() -> None:
    with pytest.raises(
        UserError, match=r"balanced_labels is 'data', and should be true or false; .*label_distribution"
    ):
        Recipe.of(balanced_labels="data")
