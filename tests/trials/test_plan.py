"""What a study will do: every recipe once, skipped, reused or computed, grouped by the model they share."""

from pathlib import Path
from typing import get_args

import pytest
import torch
from PIL import Image

from mgbench.errors import UserError
from mgbench.recipes.recipe import LabelDistribution, Recipe
from mgbench.recipes.study import Study
from mgbench.registry.loading import Registry, find, load
from mgbench.results.record import Status
from mgbench.results.store import RECORD, Store
from mgbench.trials.plan import plan_rows, plan_tokenizers, plan_trials
from tests import doubles
from tests.doubles import TINY


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load([find(doubles.FILE)])


def study(**recipes: Recipe) -> Study:
    return Study("s", recipes, {"sampling_steps": (1, 2)})


def test_rows_that_share_a_model_are_one_trial(registry: Registry, tmp_path: Path) -> None:
    grid = Study(
        "s",
        {"a": TINY, "b": TINY.change(sampler="ancestral_shared"), "c": TINY.change(mask_schedule="linear")},
        {"sampling_steps": (1, 2), "guidance_schedule": ("none", "constant")},
        (0, 1),
    )
    rows = plan_rows(registry, grid, Store(tmp_path))
    trials = plan_trials(rows)
    assert len(rows) == 24
    assert [(trial.name, len(trial.rows)) for trial in trials] == [
        ("a + b (seed 0)", 8),
        ("c (seed 0)", 4),
        ("a + b (seed 1)", 8),
        ("c (seed 1)", 4),
    ]
    assert all({row.assembly.keys.training for row in trial.rows} == {trial.key} for trial in trials)
    assert len({row.key for row in rows}) == 24


def test_a_recipe_comes_once(registry: Registry, tmp_path: Path) -> None:
    assert len(plan_rows(registry, Study("s", {"a": TINY}, {"sampling_steps": (2, 2)}, (0, 0)), Store(tmp_path))) == 1


def test_a_row_that_cannot_be_is_planned_with_its_reason_and_computed_nowhere(
    registry: Registry, tmp_path: Path
) -> None:
    rows = plan_rows(registry, study(a=TINY, b=TINY.change(sampler="maskgit")), Store(tmp_path))
    assert [bool(row.assembly.unfit) for row in rows] == [False, False, True, True]
    assert [row.method for trial in plan_trials(rows) for row in trial.rows] == ["a", "a"]
    record = rows[2].record("skipped", rows[2].assembly.unfit)
    assert (record.status, record.method, record.key) == ("skipped", "b", rows[2].key)
    assert "ranks codes" in record.reason
    assert record.recipe["sampler"] == "maskgit(temperature=4.5)"


@pytest.mark.parametrize("status", get_args(Status))
@pytest.mark.parametrize("retry", [False, True])
def test_what_is_done_is_reused_and_what_failed_is_tried_again_when_asked(
    registry: Registry, tmp_path: Path, status: Status, retry: bool
) -> None:
    store = Store(tmp_path)
    first, second = plan_rows(registry, study(a=TINY), store)
    store.save_record(first.record(status))
    rows = plan_rows(registry, study(a=TINY), store, retry)
    assert [row.reused for row in rows] == [status == "done", False]
    stands = status == "done" or (status in ("failed", "diverged", "oom", "timeout") and not retry)
    assert [row.key for trial in plan_trials(rows) for row in trial.rows] == [row.key for row in (first, second)][
        stands:
    ]


def test_a_broken_record_is_computed_again(registry: Registry, tmp_path: Path) -> None:
    store = Store(tmp_path)
    row = plan_rows(registry, study(a=TINY), store)[0]
    store.save_record(row.record("done"))
    path = store.layout.run(row.key) / RECORD
    path.write_text(path.read_text()[:-9])
    assert not plan_rows(registry, study(a=TINY), store)[0].reused
    assert len([note for note in store.notes if RECORD in note]) == 1


def test_planning_writes_nothing(registry: Registry, tmp_path: Path) -> None:
    plan_rows(registry, study(a=TINY), Store(tmp_path / "results"))
    assert list(tmp_path.iterdir()) == []


def test_reordered_methods_and_axes_have_the_same_keys(registry: Registry, tmp_path: Path) -> None:
    axes = {"sampling_steps": (1, 2), "guidance_schedule": ("none", "constant")}
    one = Study("s", {"a": TINY, "b": TINY.change(mask_schedule="linear")}, axes)
    other = Study("t", {"b": TINY.change(mask_schedule="linear"), "a": TINY}, dict(reversed(axes.items())))
    keys = [{row.key for row in plan_rows(registry, each, Store(tmp_path))} for each in (one, other)]
    assert keys[0] == keys[1]


def test_what_does_not_exist_is_refused_before_anything_runs(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'random_order'"):
        plan_rows(registry, study(a=TINY, b=TINY.change(sampler="random_ordr")), Store(tmp_path))


def test_every_tokenizer_is_a_row_once_however_many_models_stand_on_it(registry: Registry, tmp_path: Path) -> None:
    recipes = {"a": TINY, "b": TINY.change(mask_schedule="linear", seed=3), "c": TINY.change(tokenizer="patch(size=2)")}
    store = Store(tmp_path)
    rows = plan_rows(registry, study(**recipes), store)
    tokenizers = plan_tokenizers(rows, store)
    assert [(row.about, row.method, row.spelled["tokenizer"]) for row in tokenizers] == [
        ("tokenizer", "tokenizer", "patch(size=4)"),
        ("tokenizer", "tokenizer", "patch(size=2)"),
    ]
    trials = plan_trials([*tokenizers, *rows])
    assert [(trial.name, trial.about, len(trial.rows)) for trial in trials] == [
        ("tokenizer patch(size=4)", "tokenizer", 1),
        ("tokenizer patch(size=2)", "tokenizer", 1),
        ("a (seed 0)", "images", 2),
        ("b (seed 3)", "images", 2),
        ("c (seed 0)", "images", 2),
    ]
    first, second = (trial.key for trial in trials[:2])
    assert [trial.needs for trial in trials] == [(), (), (first,), (first,), (second,)]


def test_a_row_about_a_tokenizer_spells_only_what_decides_it(registry: Registry, tmp_path: Path) -> None:
    (row,) = plan_tokenizers(plan_rows(registry, study(a=TINY), Store(tmp_path)), Store(tmp_path))
    record = row.record("done")
    assert {name: value for name, value in record.recipe.items() if value is not None} == {
        "dataset": "digits",
        "tokenizer": "patch(size=4)",
        "extractor": "digits_cnn",
        "metrics": ["fid", "kid", "accuracy"],
        "samples": 20,
        "label_distribution": "balanced",
        "reference": "train",
    }
    assert (record.key, record.training_key, record.about) == (row.key, row.trial, "tokenizer")


def test_classes_far_from_equal_are_said_before_anything_is_computed(registry: Registry, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    for split, count in (("train", 40), ("val", 8)):
        for index in range(count):
            file = tmp_path / "data" / split / ("rare" if index % 8 == 0 else "usual") / f"{index}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            pixels = torch.randint(256, (8, 8), dtype=torch.uint8, generator=generator)
            Image.fromarray(pixels.numpy()).save(file)
    folder = TINY.change(dataset=f"image_folder(path={tmp_path / 'data'})", extractor="digits_cnn")
    notes = {}
    for distribution in get_args(LabelDistribution):
        store = Store(tmp_path / "results")
        plan_rows(registry, study(a=folder.change(label_distribution=distribution)), store)
        notes[distribution] = [note for note in store.notes if "5 to 35 training images" in note]
    assert [len(found) for found in notes.values()] == [1, 0, 1]
    store = Store(tmp_path / "results")
    plan_rows(registry, study(a=folder.change(labels=False)), store)
    assert not any("training images each" in note for note in store.notes)


def test_one_tokenizer_scored_in_two_ways_is_two_rows_of_one_trial(registry: Registry, tmp_path: Path) -> None:
    recipes = {"a": TINY, "b": TINY.change(metrics=("fid",)), "c": TINY.change(samples=30)}
    rows = plan_tokenizers(plan_rows(registry, study(**recipes), Store(tmp_path)), Store(tmp_path))
    (trial,) = plan_trials(rows)
    assert len({row.key for row in trial.rows}) == 3


def test_a_tokenizer_that_only_impossible_recipes_use_is_left_out(registry: Registry, tmp_path: Path) -> None:
    rows = plan_rows(
        registry, study(a=TINY.change(tokenizer="patch(size=3)"), b=TINY.change(sampler="maskgit")), Store(tmp_path)
    )
    assert plan_tokenizers(rows, Store(tmp_path)) == []


def test_a_stored_row_about_a_tokenizer_is_reused_unless_a_model_needs_a_tokenizer_that_is_gone(
    registry: Registry, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    rows = plan_rows(registry, study(a=TINY), store)
    (row,) = plan_tokenizers(rows, store)
    assert not row.reused
    store.save_record(row.record("done"))
    assert not plan_tokenizers(rows, store)[0].reused, "the rows on top are to be computed"
    store.save_folder(
        store.layout.tokenizer(row.trial), {"tokenizer.safetensors": lambda path: path.write_bytes(b"x") and None}
    )
    assert plan_tokenizers(rows, store)[0].reused
    (store.layout.tokenizer(row.trial) / "tokenizer.safetensors").unlink()
    for other in rows:
        store.save_record(other.record("done"))
    assert plan_tokenizers(plan_rows(registry, study(a=TINY), store), store)[0].reused, "nothing needs it"


def test_what_some_method_does_not_ask_is_skipped_there_and_refused_where_none_does(
    registry: Registry, tmp_path: Path
) -> None:
    gaussian = registry.recipes["doubles"]["gaussian"].change(sampler="random_order")
    given = {"tiny": frozenset({"sampler"}), "gaussian": frozenset({"sampler"})}
    mixed = Study("s", {"tiny": TINY, "gaussian": gaussian}, given=given)
    fit, unfit = plan_rows(registry, mixed, Store(tmp_path))
    assert fit.assembly.unfit == ""
    assert "asks for a sampler" in unfit.assembly.unfit
    with pytest.raises(UserError, match="asks for a sampler"):
        plan_rows(registry, Study("s", {"gaussian": gaussian}, given=given), Store(tmp_path))
