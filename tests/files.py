"""Folders of files that data sets read, made for tests."""

import gzip
import pickle
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image


@cache
def class_folders() -> Path:
    """Two classes of a dozen pictures."""
    folder, generator = Path(tempfile.mkdtemp(prefix="mgbench-images-")), np.random.default_rng(0)
    for index in range(24):
        file = folder / "ab"[index % 2] / f"{index}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(file)
    return folder


@cache
def cifar10() -> Path:
    """The files of CIFAR-10 as they are published, with two images of each class in each."""
    folder, generator = Path(tempfile.mkdtemp(prefix="mgbench-cifar-")), np.random.default_rng(0)
    for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
        pixels = generator.integers(0, 256, (20, 3072), dtype=np.uint8)
        (folder / name).write_bytes(pickle.dumps({b"data": pixels, b"labels": [index % 10 for index in range(20)]}))
    (folder / "batches.meta").write_bytes(pickle.dumps({b"label_names": [f"class {i}".encode() for i in range(10)]}))
    return folder


@cache
def cifar100() -> Path:
    """The files of CIFAR-100 as they are published, with two images of each class in each."""
    folder, generator = Path(tempfile.mkdtemp(prefix="mgbench-cifar100-")), np.random.default_rng(1)
    for name in ("train", "test"):
        content = {b"data": generator.integers(0, 256, (200, 3072), dtype=np.uint8)}
        labels = {b"fine_labels": [index % 100 for index in range(200)], b"coarse_labels": [0] * 200}
        (folder / name).write_bytes(pickle.dumps(content | labels))
    (folder / "meta").write_bytes(pickle.dumps({b"fine_label_names": [f"class {i}".encode() for i in range(100)]}))
    return folder


def idx_bytes(array: np.ndarray) -> bytes:
    """An array of bytes in the format IDX, from its description: magic number, lengths (big-endian), values."""
    return (
        bytes([0, 0, 8, array.ndim]) + b"".join(length.to_bytes(4, "big") for length in array.shape) + array.tobytes()
    )


@cache
def idx() -> Path:
    """The four files of a data set in MNIST's format: images of training packed, the others not."""
    folder, generator = Path(tempfile.mkdtemp(prefix="mgbench-idx-")), np.random.default_rng(2)
    for half, count in (("train", 40), ("t10k", 20)):
        images = idx_bytes(generator.integers(0, 256, (count, 28, 28), dtype=np.uint8))
        (folder / f"{half}-labels-idx1-ubyte").write_bytes(idx_bytes(np.arange(count, dtype=np.uint8) % 10))
        name = f"{half}-images-idx3-ubyte"
        (folder / (f"{name}.gz" if half == "train" else name)).write_bytes(
            gzip.compress(images) if half == "train" else images
        )
    return folder


@cache
def imagenet() -> Path:
    """A thousand class folders, as ImageNet's archives unpack to, with a picture of 4x4 pixels in each half of each."""
    folder, generator = Path(tempfile.mkdtemp(prefix="mgbench-imagenet-")), np.random.default_rng(3)
    for label in range(1000):
        for half in ("train", "val"):
            file = folder / half / f"n{label:08}" / f"{half}_{label}.JPEG"
            file.parent.mkdir(parents=True)
            Image.fromarray(generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)).save(file)
    return folder


@cache
def arrays() -> Path:
    """An archive of arrays with Keras's names."""
    file, generator = Path(tempfile.mkdtemp(prefix="mgbench-arrays-")) / "images.npz", np.random.default_rng(4)
    named = {
        "x_train": generator.integers(0, 256, (24, 8, 8, 3), dtype=np.uint8),
        "y_train": np.arange(24) % 3,
        "x_test": generator.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8),
        "y_test": np.arange(6) % 3,
    }
    np.savez(file, **named)  # type: ignore[arg-type]
    return file


@cache
def hub() -> Path:
    """A data set of two splits that the library `datasets` wrote."""
    import datasets

    folder, generator = Path(tempfile.mkdtemp(prefix="mgbench-hub-")), np.random.default_rng(5)
    columns = datasets.Features({"picture": datasets.Image(), "kind": datasets.ClassLabel(names=["cat", "dog"])})

    def rows(count: int) -> "datasets.Dataset":
        pictures = [Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)) for _ in range(count)]
        return datasets.Dataset.from_dict({"picture": pictures, "kind": [i % 2 for i in range(count)]}, columns)

    datasets.DatasetDict({"train": rows(20), "test": rows(6)}).save_to_disk(folder)
    return folder
