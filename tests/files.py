"""Folders of files that data sets read, made for tests."""

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
