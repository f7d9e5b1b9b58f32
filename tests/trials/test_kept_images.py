"""Images that were scored are kept: a further metric is taken of them, and nothing is trained or drawn for it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mgbench.interfaces.engine import Message, Options
from mgbench.interfaces.progress import Progress
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.spec import Spec
from mgbench.recipes.study import Study
from mgbench.registry.loading import find, load
from mgbench.results.record import Record
from mgbench.results.store import RECORD, Store
from mgbench.trials.plan import plan_rows, plan_trials
from mgbench.trials.trial import run_trial
from tests import doubles
from tests.doubles import TINY
from tests.messages import stages

CPU = torch.device("cpu")
MORE = TINY.change(metrics=(*TINY.metrics, Spec("prdc")))


def run(root: Path, recipe: Recipe, most: int | None = None) -> tuple[Record, list[str]]:
    """The record of a recipe, and the stages that were gone through for it."""
    store, seen = Store(root), list[Message]()
    (row,) = plan_rows(load([find(doubles.FILE)]), Study("s", {"m": recipe}), store)
    for trial in plan_trials([row]):
        run_trial(store, trial, CPU, Progress(seen.append), Options(keep_images=most))
    record = store.record(row.key)
    assert record
    return record, list(dict.fromkeys(now.stage for now in stages(seen)))


def test_a_metric_that_is_added_is_taken_of_the_images_that_were_kept(tmp_path: Path) -> None:
    first, through = run(tmp_path, TINY)
    assert through == ["encode", "train", "sample", "reference", "score", "metrics"]
    again, through = run(tmp_path, MORE)
    assert through == ["score", "metrics"]
    assert again.key != first.key
    assert again.keys == first.keys
    assert first.scores.items() <= again.scores.items()
    assert "precision[digits_cnn]" in again.scores
    assert (again.costs, again.origin["device"]) == (first.costs, first.origin["device"])
    assert again.files == first.files
    fresh, _ = run(tmp_path / "fresh", MORE)
    assert fresh.scores == again.scores
    assert fresh.files == again.files


def test_what_a_row_names_lies_where_it_says(tmp_path: Path) -> None:
    record, _ = run(tmp_path, TINY)
    store, keys = Store(tmp_path), record.keys
    of = store.layout
    folders = (of.tokenizer(keys["tokenizer"]), of.model(keys["model"]), of.images(keys["images"]))
    references = (of.reference(keys["reference"]), of.reference(keys["held_out"]))
    assert all(store.complete(folder) for folder in (*folders, *references))
    assert keys["model"] == record.training_key


@pytest.mark.parametrize(
    ("most", "drawn_again", "left"), [(None, False, 20), (20, False, 20), (19, True, 19), (0, True, 0)]
)
def test_only_a_whole_set_is_scored_again(tmp_path: Path, most: int | None, drawn_again: bool, left: int) -> None:
    first, _ = run(tmp_path, TINY, most)
    path = Store(tmp_path).layout.images(first.keys["images"]) / "images.npz"
    assert (len(np.load(path)["images"]) if path.exists() else 0) == left
    again, through = run(tmp_path, MORE, most)
    assert ("sample" in through) == drawn_again
    assert first.scores.items() <= again.scores.items()


def test_images_that_are_damaged_are_drawn_again(tmp_path: Path) -> None:
    first, _ = run(tmp_path, TINY)
    path = Store(tmp_path).layout.images(first.keys["images"]) / "images.npz"
    content = path.read_bytes()
    path.write_bytes(content[:-9])
    again, through = run(tmp_path, MORE)
    assert "sample" in through
    assert path.read_bytes() == content
    assert first.scores.items() <= again.scores.items()


def test_another_number_of_steps_is_another_set_of_images(tmp_path: Path) -> None:
    first, _ = run(tmp_path, TINY)
    other, through = run(tmp_path, TINY.change(sampling_steps=1))
    assert "sample" in through
    assert other.keys["images"] != first.keys["images"]
    assert {path.name for path in tmp_path.glob("images/*")} == {first.keys["images"], other.keys["images"]}
    assert len(list(tmp_path.glob(f"runs/*/{RECORD}"))) == 2
