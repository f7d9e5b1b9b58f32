"""Sentences on what differs between the halves of a folder of pictures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mgbench.components.datasets.files import ImageFolder
from mgbench.errors import UserError
from mgbench.interfaces.data import ImageData


def folder(root: Path, **classes: int) -> None:
    """So many pictures of each class, named by half and class: `train_a=3` makes train/a of three; all differ."""
    generator = np.random.default_rng(len(classes))
    for name, count in classes.items():
        for index in range(count):
            file = root / name.replace("_", "/") / f"{index}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(file)


def load(root: Path) -> ImageData:
    return ImageFolder(str(root)).load()


def test_held_out_pictures_that_are_trained_on_are_counted(tmp_path: Path) -> None:
    folder(tmp_path, train_a=6, val_a=3)
    assert not any("pixel for pixel" in note for note in load(tmp_path).notes)
    (tmp_path / "val/a/0.png").write_bytes((tmp_path / "train/a/4.png").read_bytes())
    (note,) = [note for note in load(tmp_path).notes if "pixel for pixel" in note]
    assert note.startswith("1 of the 3 held-out pictures")


def test_classes_of_one_half_are_named_and_the_others_keep_their_labels(tmp_path: Path) -> None:
    folder(tmp_path, train_a=3, train_b=3, train_c=3, val_0=2, val_a=2, val_c=2)
    data = load(tmp_path)
    assert data.class_names == ("a", "b", "c")
    assert data.test_labels is not None
    assert data.test_labels.bincount(minlength=3).tolist() == [2, 0, 2]
    assert any(
        note.endswith("holds out 2 pictures of classes that are not trained on, which are left out: 0")
        for note in data.notes
    )
    assert any(note.endswith("holds out no picture of 1 class: b") for note in data.notes)


def test_a_class_of_a_single_picture_keeps_it_for_training(tmp_path: Path) -> None:
    folder(tmp_path, a=20, b=1)
    data = load(tmp_path)
    assert data.class_counts[1] == 1
    assert data.test_labels is not None
    assert data.test_labels.unique().tolist() == [0]
    assert "of 1 class with one picture none is held out: b" in data.notes


def test_where_no_folder_says_what_is_held_out_a_tenth_of_each_class_is(tmp_path: Path) -> None:
    folder(tmp_path, train_a=20, train_b=10)
    data = load(tmp_path)
    assert data.class_counts == (18, 9)
    (note,) = data.notes
    assert note.endswith("so that a tenth of each class is held out of it")


def test_a_folder_around_the_halves_is_no_class(tmp_path: Path) -> None:
    folder(tmp_path / "archive" / "data", train_a=2, Val_a=2)
    with pytest.raises(UserError) as refused:
        load(tmp_path / "archive")
    assert str(refused.value).endswith(f"with train and Val in it; give path={tmp_path / 'archive' / 'data'}")
    # A class may have a folder of that name.
    folder(tmp_path / "vehicles", rail_train=4, road_car=4)
    assert load(tmp_path / "vehicles").class_names == ("rail", "road")
