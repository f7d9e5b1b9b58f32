"""Data sets that the library `datasets` reads: made here, since nothing is downloaded."""

from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

from mgbench.components.datasets.hub import Hub
from mgbench.errors import UserError
from mgbench.interfaces import images
from mgbench.interfaces.images import LazyImages, in_memory
from tests import files

GENERATOR = np.random.default_rng(0)


def rows(count: int, shape: tuple[int, ...] = (8, 8, 3), **columns: Any) -> datasets.Dataset:
    """Pictures, and columns of values and their feature."""
    pictures = [Image.fromarray(GENERATOR.integers(0, 256, shape, dtype=np.uint8)) for _ in range(count)]
    features = {"image": datasets.Image(), **{name: feature for name, (_, feature) in columns.items()}}
    values = {"image": pictures, **{name: value for name, (value, _) in columns.items()}}
    return datasets.Dataset.from_dict(values, datasets.Features(features))


def test_pixels_and_classes_are_those_of_the_library() -> None:
    data = Hub(str(files.hub())).load()
    assert (data.train.shape, data.test.shape) == ((20, 3, 8, 8), (6, 3, 8, 8))
    assert data.class_names == ("cat", "dog")
    theirs = datasets.load_from_disk(str(files.hub()))["train"]
    assert torch.equal(in_memory(data.train)[7].permute(1, 2, 0), torch.from_numpy(np.array(theirs[7]["picture"])))
    assert data.train_labels is not None
    assert data.train_labels.tolist() == theirs["kind"][:]


def test_what_does_not_fit_is_read_when_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Hub(str(files.hub())).load()
    monkeypatch.setenv("MGBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(images, "HELD_BYTES", 10)
    lazy = Hub(str(files.hub())).load()
    assert isinstance(lazy.train, LazyImages)
    assert torch.equal(in_memory(lazy.train), in_memory(held.train))
    assert Hub(str(files.hub())).load().fingerprint == lazy.fingerprint


def test_a_folder_of_parquet_files_is_a_data_set(tmp_path: Path) -> None:
    labels = ([3, 1, 0, 2] * 5, datasets.Value("int64"))
    rows(20, label=labels).to_parquet(tmp_path / "train-00000.parquet")
    data = Hub(str(tmp_path), label="label").load()
    assert (len(data.train), len(data.test)) == (16, 4)
    assert data.class_names == ("0", "1", "2", "3")
    assert Hub(str(tmp_path)).load().train_labels is None


def test_pictures_of_several_sizes_need_one_and_broken_ones_are_left_out(tmp_path: Path) -> None:
    small, large = rows(12), rows(10, (9, 12, 3))
    datasets.concatenate_datasets([small, large]).save_to_disk(tmp_path / "both")
    with pytest.raises(UserError, match="differ in size; give hub a size"):
        Hub(str(tmp_path / "both")).load()
    assert Hub(str(tmp_path / "both"), size=8).load().shape == (3, 8, 8)
    raw = small.cast_column("image", datasets.Image(decode=False))
    content = [
        {"bytes": b"broken" if place == 4 else row["image"]["bytes"], "path": None} for place, row in enumerate(raw)
    ]
    datasets.Dataset.from_dict({"image": content}, datasets.Features({"image": datasets.Image()})).save_to_disk(
        tmp_path / "broken"
    )
    data = Hub(str(tmp_path / "broken")).load()
    assert len(data.train) + len(data.test) == 11
    assert any("1 pictures of" in note and "cannot be read: row [4]" in note for note in data.notes)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"train": "trian"}, "has no split 'trian'; .*train"),
        ({"test": "held_out"}, "has no split 'held_out'"),
        ({"image": "pictur"}, "has no column 'pictur'; .*picture"),
        ({"label": "kinds"}, "has no column 'kinds'; .*kind"),
    ],
    ids=str,
)
def test_names_that_it_does_not_have(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        Hub(str(files.hub()), **options).load()


def test_pictures_that_a_class_called_train_hides_are_noted(tmp_path: Path) -> None:
    for name in ("bus", "bullet_train"):
        (tmp_path / name).mkdir()
        for index in range(10):
            Image.new("L", (8, 8), index).save(tmp_path / name / f"{index}.png")
    data = Hub(str(tmp_path)).load()
    assert (len(data.train), len(data.test)) == (9, 1)
    assert any(
        "10 of the 20 pictures of" in note and "image_folder reads all class folders" in note for note in data.notes
    )


def test_a_hidden_test_set_is_said(tmp_path: Path) -> None:
    hidden = ([-1] * 12, datasets.ClassLabel(names=["a", "b"]))
    rows(12, label=hidden).save_to_disk(tmp_path)
    with pytest.raises(UserError, match=r"some labels of .* are below 0"):
        Hub(str(tmp_path)).load()


def test_what_was_not_fetched_is_said_without_a_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    with pytest.raises(UserError, match=r"nobody/nothing cannot be read .*'mgbench prepare' fetches it"):
        Hub("nobody/nothing").load()


def test_columns_that_are_not_read_are_noted_unless_one_is_named(tmp_path: Path) -> None:
    """In WebDataset a name ends at its first dot, so that a_0.5_1.png and a_0.5_2.png are two columns of one sample."""
    kinds = datasets.ClassLabel(names=["cat", "dog"])
    pictures = [Image.fromarray(GENERATOR.integers(0, 256, (8, 8, 3), dtype=np.uint8)) for _ in range(20)]
    mask = (pictures, datasets.Image())
    rows(20, fine=([0, 1] * 10, kinds), coarse=([0] * 20, kinds), mask=mask).save_to_disk(tmp_path / "both")
    notes = Hub(str(tmp_path / "both")).load().notes
    assert any("mask beside the column image, which is read; image=… names another" in note for note in notes)
    assert any("coarse beside the column fine, which is read; label=… names another" in note for note in notes)
    assert not Hub(str(tmp_path / "both"), image="mask", label="coarse").load().notes
