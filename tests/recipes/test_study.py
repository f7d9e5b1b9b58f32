"""A study: the order of its grid, its files, and what is said about a typo."""

import re
from pathlib import Path

import pytest

from mgbench.errors import UserError
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.study import DEFAULT_STEPS, Outline, Study, read_study

OFFERED = {
    "one": {"a": Recipe(train_steps=5), "a-fast": Recipe(train_steps=2)},
    "two": {"b": Recipe(mask_schedule="linear")},  # type: ignore[arg-type]
}

GOOD = """
name = "grid"
plugins = ["one"]
methods = ["a", "mine"]
seeds = [0, 1]

[set]
batch_size = 8

[vary]
sampling_steps = [2, 4]
mask_schedule = "cosine"

[recipes.mine]
base = "b"
learning_rate = 0.5
metrics = ["fid"]
"""


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "study.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_seed_varies_slowest_then_the_method_and_the_last_axis_fastest() -> None:
    study = Study("s", {"a": Recipe(), "b": Recipe()}, {"train_steps": (1, 2), "sampling_steps": (3, 4)}, (0, 1))
    rows = [(recipe.seed, method, recipe.train_steps, recipe.sampling_steps) for method, recipe in study.expand()]
    assert rows == [(s, m, t, k) for s in (0, 1) for m in "ab" for t in (1, 2) for k in (3, 4)]


def test_a_study_without_axes_is_its_recipes() -> None:
    assert list(Study("s", {"a": Recipe()}).expand()) == [("a", Recipe())]


@pytest.mark.parametrize("outline", [Outline(changes={"seed": 3}), Outline(own={"mine": {"base": "b", "seed": 3}})])
def test_a_seed_that_a_recipe_sets_is_kept_where_the_study_says_nothing_about_seeds(outline: Outline) -> None:
    assert {recipe.seed for _, recipe in outline.study(OFFERED).expand()} == {3}


def test_the_seeds_of_a_study_go_over_a_recipe_s_own() -> None:
    outline = Outline(own={"mine": {"seed": 3}}, seeds=(1, 2))
    assert [recipe.seed for _, recipe in outline.study(OFFERED).expand()][:: len(DEFAULT_STEPS)] == [1, 2]


def test_an_axis_that_is_no_field_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"did you mean 'sampling_steps'\?"):
        list(Study("s", {"a": Recipe()}, {"sampling_step": (1,)}).expand())


def test_a_study_knows_what_was_set_by_who_runs_it() -> None:
    outline = Outline(
        plugins=("two",), changes={"ema": 0.9}, vary={"head": ("categorical",)}, own={"mine": {"seed": 3, "clip": 1.0}}
    )
    given = outline.study(OFFERED).given
    assert given["mine"] == {"ema", "head", "sampling_steps", "seed", "clip"}
    assert all(given[name] == {"ema", "head", "sampling_steps"} for name in OFFERED["two"])


def test_sampling_steps_vary_by_default() -> None:
    assert Outline(plugins=("two",)).study(OFFERED).vary == {"sampling_steps": DEFAULT_STEPS}


@pytest.mark.parametrize("given", [{"vary": {"sampling_steps": (7,)}}, {"changes": {"sampling_steps": 7}}])
def test_sampling_steps_that_are_given_are_the_only_ones(given: dict[str, dict[str, object]]) -> None:
    study = Outline(plugins=("two",), **given).study(OFFERED)  # type: ignore[arg-type]
    assert [recipe.sampling_steps for _, recipe in study.expand()] == [7]


def test_a_method_that_says_its_steps_keeps_them_unless_they_are_given() -> None:
    offered = {"p": {"one": Recipe.of(sampling_steps=16), "other": Recipe()}}
    alone = Outline(plugins=("p",), methods=("one",)).study(offered)
    assert alone.vary == {}
    assert [recipe.sampling_steps for _, recipe in alone.expand()] == [16]
    both = [(method, recipe.sampling_steps) for method, recipe in Outline(plugins=("p",)).study(offered).expand()]
    assert both == [("one", 16), *(("other", steps) for steps in DEFAULT_STEPS)]
    varied = Outline(plugins=("p",), methods=("one",), vary={"sampling_steps": (2, 4)}).study(offered)
    assert [recipe.sampling_steps for _, recipe in varied.expand()] == [2, 4]
    mine = Outline(own={"mine": {"base": "one", "clip": 1.0}, "fresh": {"sampling_steps": 3}}).study(offered)
    assert [recipe.sampling_steps for _, recipe in mine.expand()] == [16, 3]


@pytest.mark.parametrize(
    ("outline", "methods"),
    [
        (Outline(plugins=("one",)), ["a", "a-fast"]),
        (Outline(plugins=("two", "one")), ["b", "a", "a-fast"]),
        (Outline(), ["a", "a-fast", "b"]),
        (Outline(plugins=("one",), methods=("a",)), ["a"]),
        (Outline(own={"mine": {}}), ["mine"]),
        (Outline(plugins=("two",), own={"mine": {}}), ["b", "mine"]),
        (Outline(plugins=("two",), own={"mine": {}}, methods=("mine",)), ["mine"]),
    ],
)
def test_the_methods_of_a_study(outline: Outline, methods: list[str]) -> None:
    assert list(outline.study(OFFERED).recipes) == methods


def test_an_unknown_method_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no method is called 'a-fats'; did you mean 'a-fast'\?"):
        Outline(methods=("a-fats",)).study(OFFERED)


def test_a_plugin_without_recipes_is_said_to_bring_none() -> None:
    with pytest.raises(UserError, match="three provides no recipes"):
        Outline(plugins=("three",)).study(OFFERED)


@pytest.mark.parametrize("outline", [Outline(changes={"sede": 1}), Outline(own={"mine": {"sede": 1}})])
def test_an_unknown_field_is_refused(outline: Outline) -> None:
    with pytest.raises(UserError, match="did you mean 'seed'"):
        outline.study(OFFERED)


def test_an_axis_without_values_is_refused() -> None:
    """The study would have no rows, and say nothing."""
    with pytest.raises(UserError, match="sampling_steps"):
        list(Outline(plugins=("two",), vary={"sampling_steps": ()}).study(OFFERED).expand())


def test_a_good_file_is_read_whole(tmp_path: Path) -> None:
    outline = read_study(write(tmp_path, GOOD))
    assert (outline.name, outline.plugins, outline.methods, outline.seeds) == ("grid", ("one",), ("a", "mine"), (0, 1))
    study = outline.study(OFFERED)
    assert [recipe.seed for _, recipe in study.expand()] == [0] * 4 + [1] * 4
    assert study.recipes["a"] == Recipe(train_steps=5, batch_size=8)
    mine = study.recipes["mine"]
    assert mine == Recipe(mask_schedule="linear", learning_rate=0.5, metrics="fid", batch_size=8)  # type: ignore[arg-type]
    assert study.vary["mask_schedule"] == ("cosine",)


def test_a_file_without_a_name_is_called_by_its_file(tmp_path: Path) -> None:
    assert read_study(write(tmp_path, 'plugins = ["one"]')).name == "study"


@pytest.mark.parametrize(
    ("text", "line", "near"),
    [
        ('plugin = ["one"]', 1, "plugins"),
        ("\n\nsed = [1]", 3, "seeds"),
        ("[set]\n\nbatchsize = 8", 3, "batch_size"),
        ('name = "x"\n[vary]\nsampling_step = [1]', 3, "sampling_steps"),
        ('name = "x"\n[recipes.mine]\nbas = "b"', 3, "base"),
        ("[recipe.mine]\nseed = 1", 1, "recipes"),
        ('plugins = ["one"]\n[set]\nplugin = 3', 3, None),
        ('name = "x"\n[set]\nseed = 1\n[vary]\nname = [3]', 5, None),
        ('[recipes.seed]\nbase = "b"\n[set]\nseeds = 1', 4, "seed"),
    ],
)
def test_a_misspelt_key_is_told_with_file_line_and_the_nearest_key(
    tmp_path: Path, text: str, line: int, near: str | None
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UserError) as caught:
        read_study(path)
    assert f"{path}, line {line}: " in str(caught.value)
    if near:
        assert f"did you mean {near!r}?" in str(caught.value)


def test_a_toml_error_is_told_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, 'name = "x"\nseeds = [1,\n[set]')
    with pytest.raises(UserError, match="line 3") as caught:
        read_study(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        'plugins = "one"',
        "plugins = [1]",
        "methods = 3",
        "set = 3",
        "vary = []",
        "recipes = 3",
        "[recipes]\nmine = 3",
        "seeds = 3",
        'seeds = "01"',
        'seeds = ["a"]',
        "seeds = [true]",
        "seeds = [1.5]",
        "[set]\nbatch_size = 1979-05-27",
        "[recipes.mine]\nbase = 3",
        '[recipes.mine]\nbase = ["a"]',
        '[recipes.mine]\nbase = "bb"',
        b'name = "\xff\xfe"',
    ],
)
def test_a_value_of_another_type_is_refused_in_a_sentence(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(UserError):
        list(read_study(write(tmp_path, text)).study(OFFERED).expand())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", " is empty; name plugins in it"),
        ("# seeds = [1]\n", " is empty; name plugins in it"),
        ('name = "x"\n[claims]\nname = "y"', ", line 2: write [[claims]], in double brackets"),
    ],
)
def test_a_file_that_says_nothing_or_half_is_told(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UserError, match=re.escape(f"{path}{said}")):
        read_study(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read the study file .*nothing.toml"):
        read_study(tmp_path / "nothing.toml")
    (tmp_path / "digits.toml").touch()
    with pytest.raises(UserError, match=r"is a folder; give one of the files in it: .*digits\.toml"):
        read_study(tmp_path)
    with pytest.raises(UserError, match=r"there is no file .*; did you mean .*digits\.toml\?"):
        read_study(tmp_path / "digts.toml")


def test_the_command_line_goes_over_the_file_where_it_says_something() -> None:
    file = Outline("file", ("one",), ("a",), (0, 1), {"seed": 1, "clip": 1.0}, {"ema": (0.5,)}, {"mine": {}})
    assert Outline().over(file) == file
    given = Outline("given", seeds=(2,), changes={"clip": 2.0}, vary={"train_steps": (1,)})
    both = given.over(file)
    assert (both.name, both.plugins, both.methods, both.seeds) == ("given", ("one",), ("a",), (2,))
    assert both.changes == {"seed": 1, "clip": 2.0}
    assert both.vary == {"ema": (0.5,), "train_steps": (1,)}
    assert both.own == {"mine": {}}


def test_a_field_set_on_the_command_line_goes_over_one_that_the_file_varies() -> None:
    file = Outline(plugins=("two",), vary={"sampling_steps": (1, 2)})
    study = Outline(changes={"sampling_steps": 8}).over(file).study(OFFERED)
    assert [recipe.sampling_steps for _, recipe in study.expand()] == [8]


def test_a_field_varied_on_the_command_line_goes_over_one_that_the_file_sets() -> None:
    file = Outline(plugins=("two",), changes={"sampling_steps": 8})
    study = Outline(vary={"sampling_steps": (1, 2)}).over(file).study(OFFERED)
    assert [recipe.sampling_steps for _, recipe in study.expand()] == [1, 2]


def test_options_are_changed_alone_on_the_command_line_and_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    lines = ("[set]", "head.width = 8", '"network.depth" = 1', "[vary]", "head.depth = [1, 2]")
    path.write_text("\n".join((*lines, "[recipes.mine]", 'base = "one"', "mask_schedule.rate = 3.0")))
    offered = {"p": {"one": Recipe.of(head="diffusion(noise_samples=2)", mask_schedule="exp")}}
    study = read_study(path).study(offered)
    made = [recipe for _, recipe in study.expand() if recipe.sampling_steps == 1]
    assert [str(recipe.head) for recipe in made] == [
        f"diffusion(noise_samples=2, width=8, depth={depth})" for depth in (1, 2)
    ]
    assert {str(recipe.network) for recipe in made} == {"mae(depth=1)"}
    assert {str(recipe.mask_schedule) for recipe in made} == {"exp(rate=3.0)"}
    assert study.given["mine"] == {"head", "network", "mask_schedule", "sampling_steps", "base"}


def test_a_study_says_which_options_a_change_leaves() -> None:
    offered = {"p": {name: Recipe.of(head="diffusion(noise_samples=2, width=4)") for name in ("one", "two")}}
    study = Outline(plugins=("p",), changes={"head": "diffusion(width=8)"}).study(offered)
    assert study.notes == ("head=diffusion(width=8) keeps noise_samples=2 of one, two",)
    (said,) = Outline(plugins=("p",), changes={"head": "diffusion(8)"}).study(offered).notes
    assert (
        "so those of diffusion(noise_samples=2, width=4) are dropped; name all options to keep the rest, of one, two"
        in said
    )
    assert Outline(plugins=("p",), changes={"head": "diffusion(noise_samples=2, width=8)"}).study(offered).notes == ()
    assert Outline(plugins=("p",), changes={"head": "flow(width=8)"}).study(offered).notes == ()


def test_a_former_field_is_understood_wherever_a_study_has_it_and_said(tmp_path: Path) -> None:
    text = 'plugins = ["one"]\nmethods = ["a", "mine"]\n[set]\nbalanced_labels = false\n[recipes.mine]\nbalanced_labels = true\n'
    study = read_study(write(tmp_path, text)).study(OFFERED)
    assert {recipe.label_distribution for recipe in study.recipes.values()} == {"uniform"}
    assert study.notes == (
        "balanced_labels=false is now label_distribution=uniform",
        "balanced_labels=true is now label_distribution=balanced",
    )
    varied = Outline(plugins=("one",), vary={"balanced_labels": (True, False), "sampling_steps": (4,)}).study(OFFERED)
    assert varied.vary["label_distribution"] == ("balanced", "uniform")
    assert "balanced_labels" not in varied.vary
    assert len(varied.notes) == 1


def test_every_model_is_sampled_once_for_each_sampling_seed() -> None:
    study = Study("grid", {"mine": Recipe()}, {"sampling_steps": (1, 2)}, seeds=(0, 1), sample_seeds=(0, 1, 5))
    found = [(recipe.seed, recipe.sample_seed, recipe.sampling_steps) for _, recipe in study.expand()]
    assert found == [(seed, own, steps) for seed in (0, 1) for own in (0, 1, 5) for steps in (1, 2)]


def test_sampling_seeds_are_read_from_a_file_and_given_once(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text("sample_seeds = [0, 7]\n")
    offered = {"mine": {"mine": Recipe()}}
    assert read_study(path).study(offered).sample_seeds == (0, 7)
    assert Outline(sample_seeds=(3,)).over(read_study(path)).study(offered).sample_seeds == (3,)
    with pytest.raises(UserError, match="keep either sample_seeds or sample_seed"):
        Outline(changes={"sample_seed": 1}).over(read_study(path)).study(offered)
