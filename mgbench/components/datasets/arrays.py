"""Images in NumPy files, memory-mapped if they do not fit in memory."""

import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mgbench.components.datasets.files import OWNERS, split
from mgbench.errors import UserError
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Dataset
from mgbench.interfaces.data import ImageData
from mgbench.interfaces.images import Images, in_colour
from mgbench.stages.first_look import images_of, look_at
from mgbench.stages.image_files import channels_last
from mgbench.stages.picture_folders import Pictures
from mgbench.stages.pictures import Shown

# Array names: ours and ADM's, Keras's, and MedMNIST's.
_TRAIN = ("train_images", "x_train", "images", "arr_0", "train", "x")
_TRAIN_LABELS = ("train_labels", "y_train", "labels", "arr_1", "y")
_TEST = ("test_images", "x_test", "test", "val_images")
_TEST_LABELS = ("test_labels", "y_test", "val_labels")
_LOCAL_HEADER = struct.Struct("<26xHH")


@dataclass(frozen=True)
class Arrays:
    """Images uint8 in NumPy arrays [M,H,W,C], [M,C,H,W] or [M,H,W], memory-mapped if they do not fit in memory.

    `path` is an `.npz` file, an `.npy` file, or a folder of `.npy` files. Training images are called `train_images`,
    `x_train`, `images` or `arr_0`, held-out ones `test_images` or `x_test`, labels `train_labels`, `y_train`, `labels`
    or `arr_1`, and `test_labels` or `y_test`. Without held-out images a tenth of each class is held out.
    """

    path: str

    extractor: ClassVar[str] = "inception"

    def load(self) -> ImageData:
        """Images uint8 [M,C,H,W] and labels int64, of the classes 0 … K − 1.

        Raises:
            UserError: if there is no such file, or its arrays are not images and labels.
        """
        path = Path(self.path).expanduser()
        found = _found(path)
        train = _pictures(path, found, _TRAIN, _TRAIN_LABELS)
        if train is None:
            raise UserError(
                f"arrays: {path} holds {', '.join(found) or 'nothing'}, and should hold {' or '.join(_TRAIN)}"
            )
        test = _pictures(path, found, _TEST, _TEST_LABELS)
        if test is None:
            return split(_named(train, train.labels), "arrays")
        if train.images.shape[2:] != test.images.shape[2:] or (train.labels is None) != (test.labels is None):
            raise UserError(f"arrays: the two sets of images in {path} differ in size, or only one of them has labels")
        images: list[Images] = [train.images, test.images]
        if images[0].shape[1] != images[1].shape[1]:
            images = [in_colour(part) for part in images]
        names = _named(train, train.labels, test.labels).class_names
        return ImageData(images[0], train.labels, images[1], test.labels, names, OWNERS)


def _named(pictures: Pictures, *labels: Tensor | None) -> Pictures:
    """The pictures, with numbers as class names."""
    highest = max((int(part.max()) for part in labels if part is not None), default=-1)
    return Pictures(pictures.images, pictures.labels, tuple(str(label) for label in range(highest + 1)))


def _found(path: Path) -> Mapping[str, Callable[[], np.ndarray]]:
    """Readers of the arrays of a file or folder, by name, memory-mapped if possible."""
    if path.is_dir():
        return {file.stem: lambda file=file: _mapped(file) for file in sorted(path.glob("*.npy"))}  # type: ignore[misc]
    if path.suffix == ".npy" and path.is_file():
        return {"images": lambda: _mapped(path)}
    if path.suffix != ".npz" or not path.is_file():
        raise UserError(f"arrays: {path} is no .npz, no .npy and no folder of these; give one")
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(f"arrays: {path} cannot be read ({error}); write it again") from None
    return {name: lambda info=info: _member(path, info) for name, info in members.items()}  # type: ignore[misc]


def _mapped(file: Path, start: int = 0) -> np.ndarray:
    """The memory-mapped array of an `.npy` file, which may start at an offset in another file."""
    try:
        with file.open("rb") as opened:
            opened.seek(start)
            version = np.lib.format.read_magic(opened)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(opened)
            if dtype.hasobject:
                raise ValueError("it holds Python objects")
            return np.memmap(file, dtype, "r", opened.tell(), shape, "F" if fortran else "C")
    except (OSError, ValueError) as error:
        raise UserError(f"arrays: {file} cannot be read ({error}); write it again") from None


def _member(path: Path, info: zipfile.ZipInfo) -> np.ndarray:
    """An array of an archive: memory-mapped if it is uncompressed, otherwise read."""
    if info.compress_type == zipfile.ZIP_STORED:
        with path.open("rb") as opened:
            opened.seek(info.header_offset)
            name, extra = _LOCAL_HEADER.unpack(opened.read(_LOCAL_HEADER.size))
        return _mapped(path, info.header_offset + _LOCAL_HEADER.size + name + extra)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found: np.ndarray = arrays[info.filename.removesuffix(".npy")]
            return found
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"arrays: {path} cannot be read ({error}); write it again") from None


def _pictures(
    path: Path, found: Mapping[str, Callable[[], np.ndarray]], names: tuple[str, ...], labels: tuple[str, ...]
) -> Pictures | None:
    name = next((name for name in names if name in found), None)
    if name is None:
        return None
    pixels = _checked(path, name, found[name]())
    shows = _Rows(pixels, channels_last(pixels))
    images = images_of(look_at(shows, len(pixels), f"{path.resolve()} {name}", _files(path)), shows)
    of = next((label for label in labels if label in found), None)
    return Pictures(images, None if of is None else _labels(path, of, found[of](), len(pixels)))


def _files(path: Path) -> list[Path]:
    return sorted(path.glob("*.npy")) if path.is_dir() else [path]


def _checked(path: Path, name: str, pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    axis = 3 if channels_last(pixels) else 1
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or not len(pixels) or pixels.shape[axis] not in (1, 3):
        raise UserError(
            f"arrays: {name} of {path} is {pixels.dtype} of shape {pixels.shape}, and should be uint8 "
            "[images, height, width, channels] with 1 or 3 channels"
        )
    return pixels


def _labels(path: Path, name: str, labels: np.ndarray, count: int) -> Tensor:
    # Some files store labels as a column.
    found = labels.reshape(-1) if labels.shape == (count, 1) else labels
    if found.shape != (count,) or found.dtype.kind not in "iu" or found.min() < 0:
        raise UserError(
            f"arrays: {name} of {path} is {labels.dtype} {labels.shape}, and should be {count} whole numbers from 0"
        )
    return torch.from_numpy(found.astype(np.int64))


class _Rows:
    """Reads images of an array by index."""

    def __init__(self, pixels: np.ndarray, last: bool) -> None:
        self._pixels, self._last = pixels, last

    def __call__(self, place: int) -> Shown:
        image = self._pixels[place] if self._last else self._pixels[place].transpose(1, 2, 0)
        return Shown(np.array(image[..., 0] if image.shape[-1] == 1 else image), lossy=False)


@hookimpl
def mgbench_datasets() -> Mapping[str, type[Dataset]]:
    return {"arrays": Arrays}
