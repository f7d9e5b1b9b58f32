"""`mgbench sample`: images of a trained model, as files that `mgbench evaluate` reads."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mgbench.components.processes.masked import Masked
from tests import doubles
from tests.cli.conftest import Command
from tests.in_process import ran

STUDY = (
    "--plugins",
    doubles.FILE,
    "--methods",
    "tiny",
    "--set",
    "train_steps=6",
    "--set",
    "samples=20",
    "--set",
    "sampling_steps=2",
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a study of one model."""
    folder = tmp_path_factory.mktemp("study")
    assert ran(folder, "run", *STUDY, "--devices", "cpu:1", "--quiet") == 0
    return folder / "results"


@pytest.fixture
def at(study: Path) -> tuple[str, ...]:
    return ("--results", str(study), "--plugins", doubles.FILE)


def row(study: Path) -> Path:
    (found,) = (path for path in study.glob("runs/*") if len(list(path.glob("film.npz"))))
    return found


def test_an_archive_holds_the_images_that_were_scored(mgbench: Command, study: Path, at: tuple[str, ...]) -> None:
    answer = mgbench("sample", "tiny", "-n", "20", "-o", "drawn.npz", *at)
    assert (answer.code, answer.err) == (0, "")
    assert "20 images of tiny at 2 steps: drawn.npz" in answer.out
    drawn, scored = np.load("drawn.npz"), np.load(row(study) / "images.npz")
    assert (drawn["labels"] == scored["labels"]).all()
    assert np.abs(drawn["images"].astype(int) - scored["images"]).max() <= 1


def test_a_grid_has_every_image_in_order(mgbench: Command, study: Path, at: tuple[str, ...]) -> None:
    assert mgbench("sample", "tiny", "-n", "7", "-o", "grid.png", *at).code == 0
    assert mgbench("sample", "tiny", "-n", "7", "-o", "same.npz", *at).code == 0
    grid, images = np.asarray(Image.open("grid.png")), np.load("same.npz")["images"]
    assert grid.shape == (3 * 9 - 1, 3 * 9 - 1)
    for number, image in enumerate(images):
        top, left = 9 * (number // 3), 9 * (number % 3)
        assert (grid[top : top + 8, left : left + 8] == image[0]).all()
    assert (grid[18:, 9:] == 255).all()


def test_pictures_lie_by_class_and_are_scored_as_they_are(mgbench: Command, study: Path, at: tuple[str, ...]) -> None:
    assert mgbench("sample", row(study).name, "-n", "20", "-o", "pictures", *at).code == 0
    files = sorted(Path("pictures").rglob("*.png"))
    assert len(files) == 20
    assert {path.parent.name for path in files} == set("0123456789")
    assert Image.open(files[0]).size == (8, 8)
    answer = mgbench("evaluate", "pictures", "--reference", "digits", "--json", *at[:2])
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["count"] == 20


def test_other_steps_give_other_images(mgbench: Command, at: tuple[str, ...]) -> None:
    mgbench("sample", "tiny", "-n", "4", "-o", "two.npz", *at)
    mgbench("sample", "tiny", "-n", "4", "--steps", "1", "-o", "one.npz", *at)
    mgbench("sample", "tiny", "-n", "4", "--set", "sampling_steps=1", "-o", "set.npz", *at)
    one, two, told = (np.load(f"{name}.npz")["images"] for name in ("one", "two", "set"))
    assert (one != two).any()
    assert (one == told).all()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("tinny",), "no finished row of 'tinny'; did you mean 'tiny'?"),
        (("tiny", "--set", "train_steps=9"), "train_steps decides the model"),
        (("tiny", "--set", "sampler=nothing"), "nothing"),
    ],
)
def test_what_cannot_be_drawn_is_a_sentence(
    mgbench: Command, at: tuple[str, ...], arguments: tuple[str, ...], said: str
) -> None:
    answer = mgbench("sample", *arguments, "-o", "drawn.npz", *at)
    assert answer.code == 2
    assert said in answer.err
    assert not Path("drawn.npz").exists()


def test_a_process_that_decides_its_steps_is_not_asked_for_others(
    mgbench: Command, at: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Masked, "ignores", ("sampling_steps",), raising=False)
    answer = mgbench("sample", "tiny", "-n", "4", "-o", "drawn.npz", *at)
    assert "4 images of tiny: drawn.npz" in answer.out, answer.err
    answer = mgbench("sample", "tiny", "-n", "4", "--steps", "3", "-o", "other.npz", *at)
    assert (answer.code, Path("other.npz").exists()) == (2, False)
    assert "sampling_steps has no effect on images of tiny, whose process decides it; leave it out" in answer.err
