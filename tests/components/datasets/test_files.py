import pickle
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mgbench.components.datasets.files import Cifar10, ImageFolder
from mgbench.errors import UserError
from tests import files

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
    with pytest.raises(UserError, match="a folder train and none called test, val, validation"):
        ImageFolder(str(tmp_path)).load()
    pictures(tmp_path / "test" / "b", 3)
    with pytest.raises(UserError, match="has the class 'a' in one of its halves only"):
        ImageFolder(str(tmp_path)).load()
    pictures(tmp_path / "single", 1)
    with pytest.raises(UserError, match="too few to hold any out"):
        ImageFolder(str(tmp_path / "single")).load()


def test_cifar_is_read_as_it_is_published(tmp_path: Path) -> None:
    shutil.copytree(files.cifar10(), tmp_path / "cifar-10-batches-py")
    second = pickle.loads((files.cifar10() / "data_batch_2").read_bytes())
    for path in (tmp_path, tmp_path / "cifar-10-batches-py"):
        data = Cifar10(str(path)).load()
        assert data.train.shape == (100, 3, 32, 32)
        assert data.test.shape == (20, 3, 32, 32)
        assert torch.equal(data.train[20:40].flatten(1), torch.from_numpy(second[b"data"]))
        assert data.train_labels is not None
        assert data.train_labels[20:40].tolist() == second[b"labels"]
        assert data.class_names[3] == "class 3"


class Runs:
    ran = 0

    def __reduce__(self) -> Any:
        return _run, ()


def _run() -> None:
    Runs.ran += 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "cannot be read"),
        (pickle.dumps({b"data": Runs(), b"labels": []}), r"it asks for tests\.components\.datasets\.test_files\._run"),
        (pickle.dumps({b"data": tarfile.TarFile, b"labels": []}), r"it asks for tarfile\.TarFile"),
        (pickle.dumps({b"data": np.zeros((2, 5), np.uint8), b"labels": [0, 1]}), "holds no images of 3x32x32"),
        (pickle.dumps([1]), "cannot be read"),
    ],
)
def test_a_batch_that_is_not_what_was_published(content: bytes, sentence: str, tmp_path: Path) -> None:
    shutil.copytree(files.cifar10(), tmp_path, dirs_exist_ok=True)
    (tmp_path / "data_batch_3").write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        Cifar10(str(tmp_path)).load()
    assert Runs.ran == 0


def test_a_batch_that_is_missing(tmp_path: Path) -> None:
    shutil.copytree(files.cifar10(), tmp_path, dirs_exist_ok=True)
    (tmp_path / "test_batch").unlink()
    with pytest.raises(UserError, match=r"there is no file .*test_batch"):
        Cifar10(str(tmp_path)).load()
