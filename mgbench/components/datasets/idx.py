"""Data sets in the format of MNIST, from the official files: Fashion-MNIST and the full MNIST."""

import gzip
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from mgbench.components.datasets.torchvision_files import TorchvisionFiles
from mgbench.errors import UserError
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Dataset
from mgbench.interfaces.data import ImageData


@dataclass(frozen=True)
class _Idx(TorchvisionFiles):
    """Four files, compressed (.gz) or not, in `path` or in `path/NAME/raw`, as torchvision stores them."""

    extractor: ClassVar[str] = "mnist_cnn"
    licence: ClassVar[str]

    def load(self) -> ImageData:
        """Images uint8 [60000,1,28,28] and [10000,1,28,28], labels int64 0..9.

        Raises:
            UserError: if a file is missing or damaged.
        """
        train, test = (_half(self, half) for half in ("train", "t10k"))
        names = tuple(name.partition(" - ")[0] for name in self.official.classes)
        return ImageData(train[0], train[1], test[0], test[1], names, self.licence)


@dataclass(frozen=True)
class FashionMnist(_Idx):
    """Fashion-MNIST: clothes in ten classes, grey, 28x28, 60,000 training and 10,000 held-out images.

    Source: Xiao, Rasul and Vollgraf (2017), arXiv:1708.07747. `path` holds `FashionMNIST/raw`, as torchvision stores
    it, or the four files, compressed (.gz) or not; `mgbench prepare` downloads them.
    """

    licence: ClassVar[str] = "Fashion-MNIST (Zalando SE), MIT"
    official_name: ClassVar[str] = "FashionMNIST"


@dataclass(frozen=True)
class TorchvisionMnist(_Idx):
    """The full MNIST: handwritten digits, grey, 28x28, 60,000 training and 10,000 held-out images.

    Source: LeCun, Bottou, Bengio and Haffner (1998), doi:10.1109/5.726791. `path` holds `MNIST/raw`, as torchvision
    stores it, or the four files, compressed (.gz) or not; `mgbench prepare` downloads them. `mnist` is a bundled
    subset.
    """

    licence: ClassVar[str] = "MNIST (Yann LeCun and Corinna Cortes), CC BY-SA 3.0"
    official_name: ClassVar[str] = "MNIST"


def _folder(component: _Idx) -> Path:
    root = component.root
    inside = (root / component.official_name / "raw", root / "raw")
    return next((folder for folder in inside if folder.is_dir()), root)


def _half(component: _Idx, half: str) -> tuple[Tensor, Tensor]:
    folder = _folder(component)
    images = _read(component, folder / f"{half}-images-idx3-ubyte", 3)
    labels = _read(component, folder / f"{half}-labels-idx1-ubyte", 1)
    if len(images) != len(labels) or (len(labels) and int(labels.max()) > 9):
        raise UserError(f"{folder}: the labels of {half} are not one of ten for each image; get the files again")
    return images[:, None], labels.long()


def _read(component: _Idx, file: Path, axes: int) -> Tensor:
    """The uint8 array of an IDX file: two zero bytes, 8 for uint8, the number of axes, their lengths, the data."""
    packed = file.with_name(f"{file.name}.gz")
    if not file.is_file() and not packed.is_file():
        raise UserError(
            f"there is no file {file} (or {packed.name}); give the folder with the files of {component.official_name}, or let "
            "'mgbench prepare' fetch them"
        )
    try:
        content = file.read_bytes() if file.is_file() else gzip.decompress(packed.read_bytes())
        if content[:4] != bytes([0, 0, 8, axes]):
            raise ValueError(f"it does not begin as an array of {axes} axes of bytes does")
        lengths = [int.from_bytes(content[place : place + 4], "big") for place in range(4, 4 + 4 * axes, 4)]
        if len(content) != 4 + 4 * axes + math.prod(lengths):
            raise ValueError(f"it has {len(content)} bytes, which are not {lengths} of them and a beginning")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UserError(f"{file} cannot be read ({error}); get it again") from None
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=4 + 4 * axes).view(lengths)


@hookimpl
def mgbench_datasets() -> Mapping[str, type[Dataset]]:
    return {"fashion_mnist": FashionMnist, "torchvision_mnist": TorchvisionMnist}
