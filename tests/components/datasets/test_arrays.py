"""Images in NumPy's files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mgbench.components.datasets.arrays import Arrays
from mgbench.errors import UserError
from mgbench.interfaces import images
from mgbench.interfaces.data import ImageData
from mgbench.interfaces.images import LazyImages, in_memory

GENERATOR = np.random.default_rng(0)
TRAIN = GENERATOR.integers(0, 256, (30, 6, 8, 3), dtype=np.uint8)
TEST = GENERATOR.integers(0, 256, (9, 6, 8, 3), dtype=np.uint8)
LABELS = {"train_labels": np.arange(30) % 4, "test_labels": np.arange(9) % 5}


def first_axes(pixels: Any) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def check(data: ImageData) -> None:
    assert torch.equal(in_memory(data.train), first_axes(TRAIN))
    assert torch.equal(in_memory(data.test), first_axes(TEST))
    assert data.train_labels is not None
    assert data.test_labels is not None
    assert data.train_labels.tolist() == LABELS["train_labels"].tolist()
    assert data.test_labels.tolist() == LABELS["test_labels"].tolist()
    assert data.class_names == ("0", "1", "2", "3", "4")


def written(folder: Path, how: str) -> Path:
    named = {"train_images": TRAIN, "test_images": TEST, **LABELS}
    if how == "folder":
        for name, array in named.items():
            np.save(folder / f"{name}.npy", array)
        return folder
    save: Any = np.savez if how == "stored" else np.savez_compressed
    save(folder / "images.npz", **named)
    return folder / "images.npz"


@pytest.mark.parametrize("how", ["folder", "stored", "compressed"])
def test_held_and_mapped_arrays_hold_the_same_images(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(written(tmp_path, how))
    check(Arrays(path).load())
    monkeypatch.setenv("MGBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(images, "HELD_BYTES", TEST.size)
    data = Arrays(path).load()
    assert isinstance(data.train, LazyImages)
    assert isinstance(data.test, torch.Tensor)
    check(data)
    assert Arrays(path).load().fingerprint == data.fingerprint


def test_stored_members_of_an_archive_are_mapped_and_not_read(tmp_path: Path) -> None:
    from mgbench.components.datasets.arrays import _found

    for how, kind in (("stored", np.memmap), ("compressed", np.ndarray)):
        found = _found(written(tmp_path, how))["train_images"]()
        assert type(found) is kind
        assert np.array_equal(found, TRAIN)


@pytest.mark.parametrize(
    "pixels",
    [TRAIN.transpose(0, 3, 1, 2), TRAIN[..., :1], TRAIN[..., 0], np.asfortranarray(TRAIN)],
    ids=["first", "grey", "none", "fortran"],
)
def test_channels_may_lie_first_or_last_or_be_none(pixels: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", pixels)
    data = Arrays(str(tmp_path / "a.npy")).load()
    assert (len(data.train), len(data.test), data.train_labels) == (27, 3, None)
    channels = 1 if pixels.ndim == 3 or pixels.shape[-1] == 1 else 3
    assert data.shape == (channels, 6, 8)
    known = {image.numpy().tobytes() for image in first_axes(TRAIN)[:, :channels].contiguous()}
    assert {image.numpy().tobytes() for image in torch.cat([in_memory(data.train), in_memory(data.test)])} == known


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ({"pixels": TRAIN}, "holds pixels, and should hold train_images or x_train"),
        ({"images": TRAIN / 255}, r"images of .* is float64 of shape \(30, 6, 8, 3\), and should be uint8"),
        ({"images": TRAIN[..., :2]}, "with 1 or 3 channels"),
        ({"images": TRAIN, "labels": np.arange(29)}, "should be 30 whole numbers from 0"),
        ({"images": TRAIN, "labels": np.arange(30) - 1}, "should be 30 whole numbers from 0"),
        ({"x_train": TRAIN, "x_test": TEST[:, :5]}, "differ in size, or only one of them has labels"),
        ({"images": np.array([object()])}, "cannot be read"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_what_is_no_images_is_said(named: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **named)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=sentence):
        Arrays(str(tmp_path / "a.npz")).load()


def test_a_file_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 broken")
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY broken")
    for name, sentence in (("a.npz", "cannot be read"), ("a.npy", "cannot be read"), ("b.txt", "is no .npz, no .npy")):
        with pytest.raises(UserError, match=sentence):
            Arrays(str(tmp_path / name)).load()
