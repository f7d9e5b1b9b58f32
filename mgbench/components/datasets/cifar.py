"""CIFAR-10 and CIFAR-100, from the official files."""

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from mgbench.components.datasets.torchvision_files import TorchvisionFiles
from mgbench.errors import UserError
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Dataset
from mgbench.interfaces.data import ImageData


@dataclass(frozen=True)
class _Cifar(TorchvisionFiles):
    """The files of a CIFAR archive; `path` is its folder or the parent of that."""

    extractor: ClassVar[str] = "inception"
    title: ClassVar[str]
    # The folder in the archive, and the files in that folder.
    folder: ClassVar[str]
    trained_on: ClassVar[tuple[str, ...]]
    held_out: ClassVar[str]
    about: ClassVar[str]
    # The keys of labels and class names in the files.
    labels: ClassVar[str]
    names: ClassVar[str]

    def load(self) -> ImageData:
        """Images uint8 [50000,3,32,32] and [10000,3,32,32], labels int64 below the number of classes.

        Raises:
            UserError: if a file is missing or damaged.
        """
        name, root = self.official_name.lower(), self.root
        folder = root / self.folder if (root / self.folder).is_dir() else root
        parts = [_batch(name, folder / file, self.labels) for file in self.trained_on]
        images, labels = (torch.cat(part) for part in zip(*parts, strict=True))
        test, test_labels = _batch(name, folder / self.held_out, self.labels)
        names = tuple(_text(found) for found in _unpickled(name, folder / self.about).get(self.names, ()))
        if len(names) <= int(labels.max()):
            raise UserError(f"{name}: {folder / self.about} names {len(names)} classes, too few for its labels")
        return ImageData(images, labels, test, test_labels, names, f"{self.title}; no licence is stated")


@dataclass(frozen=True)
class Cifar10(_Cifar):
    """CIFAR-10 (Krizhevsky, 2009): 50,000 training and 10,000 held-out photographs of ten classes, 32x32.

    `path` is the folder `cifar-10-batches-py` of the archive, or its parent; `mgbench prepare` downloads it.
    """

    title: ClassVar[str] = "CIFAR-10 (Krizhevsky, 2009)"
    official_name: ClassVar[str] = "CIFAR10"
    folder: ClassVar[str] = "cifar-10-batches-py"
    trained_on: ClassVar[tuple[str, ...]] = tuple(f"data_batch_{number}" for number in range(1, 6))
    held_out: ClassVar[str] = "test_batch"
    about: ClassVar[str] = "batches.meta"
    labels: ClassVar[str] = "labels"
    names: ClassVar[str] = "label_names"


@dataclass(frozen=True)
class Cifar100(_Cifar):
    """CIFAR-100 (Krizhevsky, 2009): 50,000 training and 10,000 held-out photographs of a hundred classes, 32x32.

    `path` is the folder `cifar-100-python` of the archive, or its parent; `mgbench prepare` downloads it.
    """

    title: ClassVar[str] = "CIFAR-100 (Krizhevsky, 2009)"
    official_name: ClassVar[str] = "CIFAR100"
    folder: ClassVar[str] = "cifar-100-python"
    trained_on: ClassVar[tuple[str, ...]] = ("train",)
    held_out: ClassVar[str] = "test"
    about: ClassVar[str] = "meta"
    labels: ClassVar[str] = "fine_labels"
    names: ClassVar[str] = "fine_label_names"


def _batch(name: str, file: Path, of: str) -> tuple[Tensor, Tensor]:
    content = _unpickled(name, file)
    pixels, labels = content.get("data"), content.get(of)
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape != (len(labels or ()), 3072):
        raise UserError(f"{name}: {file} holds no images of 3x32x32 with a label each; get the archive again")
    return torch.from_numpy(pixels.reshape(-1, 3, 32, 32)), torch.tensor(labels, dtype=torch.int64)


class _OnlyArrays(pickle.Unpickler):
    """Unpickler for arrays, lists and strings, which refuses everything that could run code."""

    _HARMLESS: ClassVar[set[str]] = {"_reconstruct", "ndarray", "dtype", "encode", "scalar", "_frombuffer"}

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] in ("numpy", "_codecs") and name in self._HARMLESS:
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _unpickled(name: str, file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise UserError(
            f"{name}: there is no file {file}; give the folder of the unpacked archive, or let "
            "'mgbench prepare' fetch it"
        )
    try:
        content = _OnlyArrays(io.BytesIO(file.read_bytes()), encoding="bytes").load()
        return {_text(key): value for key, value in content.items()}
    except Exception as error:
        raise UserError(f"{name}: {file} cannot be read ({error}); get the archive again") from None


def _text(name: object) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


@hookimpl
def mgbench_datasets() -> Mapping[str, type[Dataset]]:
    return {"cifar10": Cifar10, "cifar100": Cifar100}
