"""Data sets in MNIST's format."""

import gzip
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mgbench.components.datasets.idx import FashionMnist, TorchvisionMnist
from mgbench.errors import UserError
from mgbench.interfaces.images import in_memory
from tests import files


def test_packed_and_unpacked_files_are_read_as_torchvision_reads_them(tmp_path: Path) -> None:
    from torchvision import datasets

    raw = tmp_path / "FashionMNIST" / "raw"
    shutil.copytree(files.idx(), raw)
    data = FashionMnist(str(tmp_path)).load()
    assert data.fingerprint == FashionMnist(str(raw)).load().fingerprint
    # torchvision reads unpacked files only.
    (raw / "train-images-idx3-ubyte").write_bytes(gzip.decompress((raw / "train-images-idx3-ubyte.gz").read_bytes()))
    for train, images, labels in (
        (True, data.train, data.train_labels),
        (False, data.test, data.test_labels),
    ):
        theirs = datasets.FashionMNIST(tmp_path, train=train)
        assert torch.equal(in_memory(images)[:, 0], theirs.data)
        assert labels is not None
        assert torch.equal(labels, theirs.targets)
    assert data.class_names == tuple(theirs.classes)


def test_the_classes_of_mnist_are_those_of_its_extractor() -> None:
    assert TorchvisionMnist(str(files.idx())).load().class_names == tuple("0123456789")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("train-labels-idx1-ubyte", b"", "does not begin as an array of 1 axes"),
        ("t10k-images-idx3-ubyte", files.idx_bytes(np.zeros((2, 28, 28), np.uint8))[:-1], "has 1583 bytes"),
        (
            "t10k-images-idx3-ubyte",
            files.idx_bytes(np.zeros((2, 28, 28), np.uint8)),
            "are not one of ten for each image",
        ),
        ("train-labels-idx1-ubyte", files.idx_bytes(np.full(40, 10, np.uint8)), "are not one of ten for each image"),
        ("train-images-idx3-ubyte.gz", b"\x1f\x8b broken", "cannot be read"),
        ("train-images-idx3-ubyte.gz", None, "there is no file .*train-images-idx3-ubyte .or"),
    ],
)
def test_a_file_that_is_not_what_was_published(name: str, content: bytes | None, sentence: str, tmp_path: Path) -> None:
    shutil.copytree(files.idx(), tmp_path, dirs_exist_ok=True)
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        FashionMnist(str(tmp_path)).load()


def test_only_what_is_missing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import datasets

    asked: list[Any] = []

    def publisher(folder: Path, download: bool) -> None:
        asked.append((folder, download))
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz")

    publisher.classes = datasets.MNIST.classes  # type: ignore[attr-defined]
    monkeypatch.setattr(datasets, "MNIST", publisher)
    TorchvisionMnist(str(files.idx())).fetch()
    assert asked == []
    with pytest.raises(UserError, match="files of MNIST could not be fetched: Error downloading"):
        TorchvisionMnist("nowhere").fetch()
    assert asked == [(Path("nowhere"), True)]
