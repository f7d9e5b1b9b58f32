"""What a record warns of is said before anything is computed, unless only the computation can tell."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from mgbench.components.datasets.embedded import Digits
from mgbench.interfaces.progress import Progress
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.study import Study
from mgbench.registry.loading import find, load
from mgbench.registry.registry import Registry
from mgbench.results.record import Record
from mgbench.results.store import Store
from mgbench.trials.plan import plan_rows, plan_trials
from mgbench.trials.trial import run_trial
from tests import doubles
from tests.doubles import TINY


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load([find(doubles.FILE)])


def pictures(root: Path, counts: dict[str, int]) -> Recipe:
    """Real digits in class folders, of which there are so many for each class to train on and half as many held out."""
    digits = Digits().load()
    for half, images, labels, share in (
        ("train", digits.train, digits.train_labels, 1),
        ("val", digits.test, digits.test_labels, 2),
    ):
        for name, count in counts.items():
            folder = root / half / name
            folder.mkdir(parents=True)
            for number, row in enumerate((labels == int(name)).nonzero()[: count // share, 0].tolist()):
                Image.fromarray(images[row, 0].numpy()).save(folder / f"{number}.png")
    (root / "train" / "0" / "broken.png").write_bytes(b"no picture")
    dataset = f"image_folder(path={root.as_posix()})"
    return TINY.change(dataset=dataset, extractor="digits_cnn")


def computed(registry: Registry, root: Path, recipe: Recipe) -> tuple[list[str], Record]:
    """The notes of the plan, and the record."""
    store = Store(root)
    rows = plan_rows(registry, Study("s", {"m": recipe}), store)
    notes = list(store.notes)
    for trial in plan_trials(rows):
        run_trial(store, trial, torch.device("cpu"), Progress())
    record = store.record(rows[0].key)
    assert record is not None
    assert record.status == "done", record.reason
    return notes, record


EACH = (
    "broken.png",
    "5 to 40 training images",
    "the model is not trained on these",
    "30 images for 48 features",
    "the reference: 45 images",
    "the floor is of 22 held-out images, the scores of 30",
    "kid",
)


def test_every_warning_of_a_record_was_said_by_the_plan(registry: Registry, tmp_path: Path) -> None:
    recipe = pictures(tmp_path / "digits", {"0": 40, "1": 5}).change(
        process="masked(label_drop=0)",
        guidance_schedule="constant(scale=2)",
        metrics=("fid", "kid(subsets=2, subset_size=1000)"),
        samples=30,
    )
    notes, record = computed(registry, tmp_path / "results", recipe)
    for wanted in EACH:
        assert any(wanted in said for said in record.warnings), (wanted, record.warnings)
    for warning in record.warnings:
        assert any(warning in note for note in notes), warning
    assert len(notes) == len(set(notes))


def test_what_is_stored_is_not_warned_of_again(registry: Registry, tmp_path: Path) -> None:
    computed(registry, tmp_path, TINY)
    store = Store(tmp_path)
    plan_rows(registry, Study("s", {"m": TINY}), store)
    assert not store.notes
