"""Images from files: class folders as ImageNet has them, and CIFAR-10 as it is published."""

import hashlib
import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mgbench.errors import UserError
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Dataset
from mgbench.interfaces.data import ImageData
from mgbench.interfaces.randomness import Streams
from mgbench.recipes.spec import Index
from mgbench.stages.picture_folders import Pictures, read_folder

_TRAINED_ON = ("train", "training")
_HELD_OUT = ("test", "val", "validation", "valid", "testing")


@dataclass(frozen=True)
class ImageFolder:
    """Pictures in class folders, `path/train/cat/1.png` and `path/val/cat/2.png` (or `test`), all held in memory.

    Without a folder `train`, `path` has the class folders (or the pictures, which then have no labels), and a tenth of each
    class is held out. Pictures are taken as a viewer shows them. With a `size` the shorter side is resized to it
    (bicubic, antialiased) and the middle cut out.
    """

    path: str
    size: Index = 0

    extractor: ClassVar[str] = "inception"

    def load(self) -> ImageData:
        """Images uint8 [M,C,H,W]; labels in the order of the names of their folders.

        Pictures are taken as a viewer shows them, and what cannot be is left out and noted (`read_folder`).

        Raises:
            UserError: if there is no such folder, or its pictures cannot be read, differ in size or share no class.
        """
        root = Path(self.path).expanduser()
        if not root.is_dir():
            raise UserError(f"image_folder: there is no folder {self.path!r}; give the one that has the class folders")
        change = partial(_fitted, self.size) if self.size else lambda picture: picture
        folders = {path.name.lower(): path for path in sorted(root.iterdir(), reverse=True) if path.is_dir()}
        train = next((folders[name] for name in _TRAINED_ON if name in folders), None)
        if train is None:
            return _split(read_folder(root, change))
        halves = [folders[name] for name in _HELD_OUT if name in folders]
        if not halves:
            raise UserError(
                f"image_folder: {root} has a folder {train.name} and none called {', '.join(_HELD_OUT)}; add one"
            )
        data = _together(read_folder(train, change), read_folder(halves[0], change), root)
        others = [path.name for path in folders.values() if path not in (train, halves[0])]
        if not others:
            return data
        note = f"of {root}, {train.name} and {halves[0].name} are read, and {', '.join(sorted(others))} is left out"
        return replace(data, notes=(*data.notes, note))


def _fitted(size: int, picture: Image.Image) -> Image.Image:
    scale = size / min(picture.size)
    width, height = (max(size, round(side * scale)) for side in picture.size)
    left, top = (width - size) // 2, (height - size) // 2
    resized = picture.resize((width, height), Image.Resampling.BICUBIC)
    return resized.crop((left, top, left + size, top + size))


def _together(train: Pictures, test: Pictures, root: Path) -> ImageData:
    if train.images.shape[2:] != test.images.shape[2:]:
        raise UserError(f"image_folder: the halves of {root} differ in size; give image_folder a size")
    test, apart = _of_classes(train.class_names, test, root)
    images = [train.images, test.images]
    if images[0].shape[1] != images[1].shape[1]:
        images = [part.expand(-1, 3, -1, -1).contiguous() for part in images]
    notes = (*train.notes, *test.notes, *apart, *_in_both(images[0], images[1], root))
    return _data(images[0], train.labels, images[1], test.labels, train.class_names, notes)


def _of_classes(names: tuple[str, ...], test: Pictures, root: Path) -> tuple[Pictures, list[str]]:
    """The held-out pictures of the classes that are trained on, labelled as these are; and notes on other classes.

    Raises:
        UserError: if there are none.
    """
    if names == test.class_names:
        return test, []
    odd = sorted(set(names) ^ set(test.class_names))
    common = set(names) & set(test.class_names)
    if not common or test.labels is None:
        raise UserError(f"image_folder: {root} has the class {odd[0]!r} in one of its halves only")
    to = torch.tensor([names.index(name) if name in common else -1 for name in test.class_names])[test.labels]
    lost, absent = (
        [name for name in test.class_names if name not in common],
        [name for name in names if name not in common],
    )
    said = [
        f"{root} holds out {int((to < 0).sum())} pictures of classes that are not trained on, which are left out: "
        f"{', '.join(lost[:3])}"
    ] * bool(lost)
    said += [f"{root} holds out no picture of {len(absent)} classes: {', '.join(absent[:3])}"] * bool(absent)
    return replace(test, images=test.images[to >= 0], labels=to[to >= 0], class_names=names), said


def _in_both(train: Tensor, test: Tensor, root: Path) -> list[str]:
    """A note where held-out pictures are also trained on, which lowers every floor."""
    known = {_hash(image) for image in train}
    both = sum(_hash(image) in known for image in test)
    note = f"{both} of the {len(test)} held-out pictures of {root} are also trained on, pixel for pixel: the floor is too low"
    return [note] * bool(both)


def _hash(image: Tensor) -> bytes:
    return hashlib.blake2b(image.contiguous().numpy().tobytes(), digest_size=16).digest()


def _split(found: Pictures) -> ImageData:
    """A tenth of each class held out, one picture at least; classes of a single picture keep it for training."""
    labels = found.labels if found.labels is not None else torch.zeros(len(found.images), dtype=torch.int64)
    order = Streams.root(0, "image_folder/split").fold(torch.arange(len(labels))).uniform(1)[:, 0]
    held_out, single = torch.zeros(len(labels), dtype=torch.bool), []
    for label in torch.unique(labels).tolist():
        members = (labels == label).nonzero()[:, 0]
        if len(members) == 1:
            single.append(found.class_names[label] if found.class_names else "all")
        else:
            held_out[members[order[members].argsort()][: max(1, len(members) // 10)]] = True
    if not held_out.any():
        raise UserError("image_folder: one picture a class is too few to hold any out; add more")
    notes = [f"{len(single)} classes have one picture, and none is held out of them: {', '.join(single[:3])}"]
    parts = (None, None) if found.labels is None else (labels[~held_out], labels[held_out])
    said = (*found.notes, *notes * bool(single))
    return _data(found.images[~held_out], parts[0], found.images[held_out], parts[1], found.class_names, said)


def _data(
    train: Tensor,
    labels: Tensor | None,
    test: Tensor,
    test_labels: Tensor | None,
    names: tuple[str, ...],
    notes: tuple[str, ...],
) -> ImageData:
    licence = "That of the folder's owner; mgbench does not know it"
    return ImageData(train, labels, test, test_labels, names, licence, notes)


@dataclass(frozen=True)
class Cifar10:
    """50,000 photographs of ten classes to train on and 10,000 held out, 32x32 (Krizhevsky, 2009).

    `path` is the folder `cifar-10-batches-py` of the published archive, or the one it lies in.
    """

    path: str

    extractor: ClassVar[str] = "inception"

    def load(self) -> ImageData:
        """Images uint8 [50000,3,32,32] and [10000,3,32,32], labels int64 0..9.

        Raises:
            UserError: if a file is missing or is not what was published.
        """
        root = Path(self.path).expanduser()
        folder = root / "cifar-10-batches-py" if (root / "cifar-10-batches-py").is_dir() else root
        batches = [_batch(folder / f"data_batch_{number}") for number in range(1, 6)]
        images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
        test, test_labels = _batch(folder / "test_batch")
        names = tuple(_text(name) for name in _unpickled(folder / "batches.meta").get("label_names", ()))
        if len(names) <= int(labels.max()):
            raise UserError(f"cifar10: {folder / 'batches.meta'} names {len(names)} classes, too few for its labels")
        return ImageData(images, labels, test, test_labels, names, "CIFAR-10 (Krizhevsky, 2009); no licence is stated")


def _batch(file: Path) -> tuple[Tensor, Tensor]:
    content = _unpickled(file)
    pixels, labels = content.get("data"), content.get("labels")
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape != (len(labels or ()), 3072):
        raise UserError(f"cifar10: {file} holds no images of 3x32x32 with a label each; get the archive again")
    return torch.from_numpy(pixels.reshape(-1, 3, 32, 32)), torch.tensor(labels, dtype=torch.int64)


class _OnlyArrays(pickle.Unpickler):
    """Reads arrays, lists and texts, and refuses everything that could run code."""

    _HARMLESS: ClassVar[set[str]] = {"_reconstruct", "ndarray", "dtype", "encode", "scalar", "_frombuffer"}

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] in ("numpy", "_codecs") and name in self._HARMLESS:
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _unpickled(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise UserError(f"cifar10: there is no file {file}; give the folder of the unpacked archive")
    try:
        content = _OnlyArrays(io.BytesIO(file.read_bytes()), encoding="bytes").load()
        return {_text(name): value for name, value in content.items()}
    except Exception as error:
        raise UserError(f"cifar10: {file} cannot be read ({error}); get the archive again") from None


def _text(name: object) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


@hookimpl
def mgbench_datasets() -> Mapping[str, type[Dataset]]:
    return {"image_folder": ImageFolder, "cifar10": Cifar10}
