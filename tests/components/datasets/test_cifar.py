"""CIFAR as it is published, and files that are not."""

import pickle
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mgbench.components.datasets.cifar import Cifar10, Cifar100
from mgbench.errors import UserError
from mgbench.interfaces.images import in_memory
from tests import files


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
        (pickle.dumps({b"data": Runs(), b"labels": []}), r"it asks for tests\.components\.datasets\.test_cifar\._run"),
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


def test_the_hundred_classes_are_the_fine_ones(tmp_path: Path) -> None:
    shutil.copytree(files.cifar100(), tmp_path / "cifar-100-python")
    data = Cifar100(str(tmp_path)).load()
    pixels = pickle.loads((files.cifar100() / "train").read_bytes())[b"data"]
    assert torch.equal(in_memory(data.train).flatten(1), torch.from_numpy(pixels))
    assert data.class_counts == (2,) * 100
    assert data.class_names[99] == "class 99"


@pytest.mark.parametrize("made", [Cifar10, Cifar100])
def test_nothing_is_fetched_where_everything_is_there(
    made: type[Cifar10 | Cifar100], monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision import datasets

    asked: list[Any] = []

    def archive(folder: Path, download: bool) -> None:
        asked.append((folder, download))
        raise OSError("no network")

    monkeypatch.setattr(datasets, made.official_name, archive)
    made(str(files.cifar10() if made is Cifar10 else files.cifar100())).fetch()
    assert asked == []
    with pytest.raises(UserError, match="could not be fetched: no network"):
        made("nowhere").fetch()
    assert asked == [(Path("nowhere"), True)]
