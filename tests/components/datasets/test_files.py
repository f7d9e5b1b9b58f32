from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mgbench.components.datasets.files import Fitted, ImageFolder
from mgbench.errors import UserError
from mgbench.interfaces import images
from mgbench.interfaces.images import LazyImages, in_memory

GENERATOR = np.random.default_rng(0)


def pictures(folder: Path, count: int, shape: tuple[int, ...] = (8, 8, 3)) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.fromarray(GENERATOR.integers(0, 256, shape, dtype=np.uint8)).save(folder / f"{index:03}.png")


def test_halves_and_classes(tmp_path: Path) -> None:
    for half, count in (("train", 5), ("val", 2)):
        for name in ("cat", "dog"):
            pictures(tmp_path / half / name, count)
    data = ImageFolder(str(tmp_path)).load()
    assert data.train.shape == (10, 3, 8, 8)
    assert data.test.shape == (4, 3, 8, 8)
    assert data.class_names == ("cat", "dog")
    assert data.test_labels is not None
    assert data.test_labels.tolist() == [0, 0, 1, 1]
    with Image.open(tmp_path / "val" / "dog" / "001.png") as last:
        assert torch.equal(data.test[-1], torch.from_numpy(np.array(last)).permute(2, 0, 1))


def test_a_tenth_of_each_class_is_held_out_where_there_are_no_halves(tmp_path: Path) -> None:
    pictures(tmp_path / "cat", 20)
    pictures(tmp_path / "dog", 30)
    data = ImageFolder(str(tmp_path)).load()
    assert data.train_labels is not None
    assert data.test_labels is not None
    assert data.train_labels.bincount().tolist() == [18, 27]
    assert data.test_labels.bincount().tolist() == [2, 3]
    assert data.fingerprint == ImageFolder(str(tmp_path)).load().fingerprint
    together = {image.numpy().tobytes() for image in torch.cat([data.train, data.test])}
    assert len(together) == 50


def test_train_is_a_class_among_others_and_a_half_beside_the_other(tmp_path: Path) -> None:
    for name in ("bus", "train"):
        pictures(tmp_path / name, 10)
    assert ImageFolder(str(tmp_path)).load().class_names == ("bus", "train")
    pictures(tmp_path / "val", 2)
    halves = ImageFolder(str(tmp_path)).load()
    assert (halves.class_names, len(halves.train), len(halves.test)) == ((), 10, 2)


def test_pictures_without_classes_have_no_labels(tmp_path: Path) -> None:
    pictures(tmp_path, 20)
    data = ImageFolder(str(tmp_path)).load()
    assert (len(data.train), len(data.test), data.train_labels, data.class_names) == (18, 2, None, ())


@pytest.mark.parametrize("shape", [(20, 30, 3), (31, 16, 3), (12, 12), (6, 9, 3)])
def test_a_size_is_the_middle_of_what_was_resized(shape: tuple[int, ...], tmp_path: Path) -> None:
    pictures(tmp_path / "a", 11, shape)
    channels = 3 if len(shape) == 3 else 1
    assert ImageFolder(str(tmp_path), size=12).load().train.shape == (10, channels, 12, 12)


def test_resizing_keeps_a_gradient_and_its_middle(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(64, dtype=np.uint8) * 2, (32, 1))
    for index in range(3):
        Image.fromarray(ramp).save(tmp_path / f"{index}.png")
    row = ImageFolder(str(tmp_path), size=16).load().train[0, 0, 8].double()
    assert row.diff().min() > 0
    assert row.mean().item() == pytest.approx(ramp.mean(), abs=1)


def test_pictures_of_several_sizes_need_one(tmp_path: Path) -> None:
    pictures(tmp_path / "train" / "a", 3, (8, 8, 3))
    pictures(tmp_path / "test" / "a", 3, (9, 9, 3))
    with pytest.raises(UserError, match="differ in size; give image_folder a size"):
        ImageFolder(str(tmp_path)).load()
    assert ImageFolder(str(tmp_path), size=8).load().test.shape == (3, 3, 8, 8)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder"):
        ImageFolder(str(tmp_path / "nowhere")).load()
    pictures(tmp_path / "train" / "a", 3)
    pictures(tmp_path / "test" / "b", 3)
    with pytest.raises(UserError, match="has the class 'a' in one of its halves only"):
        ImageFolder(str(tmp_path)).load()
    pictures(tmp_path / "single", 1)
    with pytest.raises(UserError, match="too few to hold any out"):
        ImageFolder(str(tmp_path / "single")).load()


def test_what_does_not_fit_is_read_again_and_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "data"
    for half, count in (("train", 6), ("val", 3)):
        for name in ("cat", "dog"):
            pictures(root / half / name, count, (9, 12, 3))
    pictures(root / "train" / "grey", 2, (9, 12))
    pictures(root / "val" / "grey", 2, (9, 12))
    (root / "train" / "cat" / "002.png").write_bytes(b"broken")
    (root / "val" / "dog" / "000.png").write_bytes((root / "train" / "dog" / "001.png").read_bytes())
    held = ImageFolder(str(root), size=8).load()
    monkeypatch.setenv("MGBENCH_CACHE", str(tmp_path / ".cache"))
    monkeypatch.setattr(images, "HELD_BYTES", 100)
    for _ in range(2):
        lazy = ImageFolder(str(root), size=8).load()
        assert isinstance(lazy.train, LazyImages)
        assert torch.equal(in_memory(lazy.train), in_memory(held.train))
        assert torch.equal(in_memory(lazy.test), in_memory(held.test))
        assert (lazy.notes, lazy.class_names, lazy.class_counts) == (held.notes, held.class_names, held.class_counts)
        assert lazy.train_labels is not None
        assert held.train_labels is not None
        assert lazy.train_labels.tolist() == held.train_labels.tolist()
    assert any("pixel for pixel" in note for note in lazy.notes)
    assert any("002.png" in note for note in lazy.notes)


def test_a_tenth_is_held_out_of_what_does_not_fit_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(tmp_path / "data" / "cat", 20)
    pictures(tmp_path / "data" / "dog", 30)
    held = ImageFolder(str(tmp_path / "data")).load()
    monkeypatch.setenv("MGBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(images, "HELD_BYTES", 100)
    lazy = ImageFolder(str(tmp_path / "data")).load()
    assert torch.equal(in_memory(lazy.test), in_memory(held.test))
    assert lazy.class_counts == (18, 27)


def test_the_cut_of_adm_is_its_own() -> None:
    # By hand: 40x24 halves by boxes to 20x12, since 12 is twice 6 to 10x6, and the middle 6x6 is cut out.
    pixels = GENERATOR.integers(0, 256, (24, 40, 3), dtype=np.uint8)
    means = pixels.reshape(12, 2, 20, 2, 3).astype(int).sum((1, 3))
    halves = ((means + 2) // 4).reshape(6, 2, 10, 2, 3).sum((1, 3))
    expected = ((halves + 2) // 4)[:, 2:8]
    found = np.asarray(Fitted(6, "adm")(Image.fromarray(pixels))).astype(int)
    # Each of two passes rounds twice.
    assert np.abs(found - expected).max() <= 2
    plain = np.asarray(Fitted(6)(Image.fromarray(pixels))).astype(int)
    assert np.abs(plain - expected).max() > 8
