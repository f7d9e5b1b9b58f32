"""Pictures in class folders, in the layout of ImageNet."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from PIL import Image

from mgbench.errors import UserError
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Dataset
from mgbench.interfaces.data import ImageData
from mgbench.interfaces.images import Images, digests_of, in_colour, taken
from mgbench.interfaces.randomness import Streams
from mgbench.recipes.spec import Index
from mgbench.stages.picture_folders import Pictures, read_folder

Resize = Literal["bicubic", "adm"]
OWNERS = "That of the folder's owner; mgbench does not know it"
_TRAINED_ON = ("train", "training")
_HELD_OUT = ("test", "val", "validation", "valid", "testing")


@dataclass(frozen=True)
class ImageFolder:
    """Pictures in class folders, `path/train/cat/1.png` and `path/val/cat/2.png` (or `test`), read on access if they do
    not fit in memory.

    Without a folder `train`, `path` has the class folders (or unlabelled pictures); a folder `train` that has no folders
    beside others that have none, none of them called `test` or `val`, is a class as well. A tenth of each class is held out if no
    folder has the held-out pictures. Pictures are decoded as a viewer shows them. With a `size` the shorter side is resized
    to it (bicubic, antialiased) and the centre is cropped; `resize=adm` first halves larger pictures repeatedly, as ADM's
    code does for published FIDs of ImageNet.
    """

    path: str
    size: Index = 0
    resize: Resize = "bicubic"

    extractor: ClassVar[str] = "inception"

    def load(self) -> ImageData:
        """Images uint8 [M,C,H,W]; labels in the order of the names of their folders.

        Pictures are decoded as a viewer shows them; unreadable ones are left out and noted (`read_folder`).

        Raises:
            UserError: if there is no such folder, or its pictures cannot be read, differ in size or have no common
            class.
        """
        root = Path(self.path).expanduser()
        if not root.is_dir():
            raise UserError(f"image_folder: there is no folder {self.path!r}; give the one that has the class folders")
        read = partial(read_folder, change=Fitted(self.size, self.resize), way=f"{self.size} {self.resize}")
        folders = {path.name.lower(): path for path in sorted(root.iterdir(), reverse=True) if path.is_dir()}
        train = next((folders[name] for name in _TRAINED_ON if name in folders), None)
        if train is None or _is_class(train, folders.values()):
            _refuse_halves_below(root, folders.values())
            return split(read(root))
        halves = [folders[name] for name in _HELD_OUT if name in folders]
        if not halves:
            alone = split(read(train))
            held = f"{root} has a folder {train.name} and none called {', '.join(_HELD_OUT)}"
            return replace(alone, notes=(*alone.notes, f"{held}, so that a tenth of each class is held out of it"))
        data = _together(read(train), read(halves[0]), root)
        others = [path.name for path in folders.values() if path not in (train, halves[0])]
        if not others:
            return data
        note = f"of {root}, {train.name} and {halves[0].name} are read, and {', '.join(sorted(others))} is left out"
        return replace(data, notes=(*data.notes, note))


def _is_class(train: Path, folders: Iterable[Path]) -> bool:
    """Whether a folder called train is a class among others, as in CIFAR-100, and not the training half."""
    others = [folder for folder in folders if folder != train]
    named = any(folder.name.lower() in _HELD_OUT for folder in others)
    return bool(others) and not named and not any(map(_has_folders, (train, *others)))


def _has_folders(folder: Path) -> bool:
    return any(path.is_dir() for path in folder.iterdir())


def _refuse_halves_below(root: Path, folders: Iterable[Path]) -> None:
    """Refuse a folder whose subfolder has the halves, since all pictures would be one class.

    Raises:
        UserError: if so.
    """
    for folder in folders:
        inside = {path.name.lower(): path.name for path in folder.iterdir() if path.is_dir()}
        halves = [next((inside[name] for name in names if name in inside), "") for names in (_TRAINED_ON, _HELD_OUT)]
        if all(halves):
            raise UserError(
                f"image_folder: {root} has neither class folders nor pictures, but the folder {folder.name} with "
                f"{' and '.join(halves)} in it; give path={folder}"
            )


@dataclass(frozen=True)
class Fitted:
    """Resize and crop a PIL image to a square of `size` pixels; 0 leaves it unchanged."""

    size: int
    resize: Resize = "bicubic"

    def __call__(self, picture: Image.Image) -> Image.Image:
        """The centre of the picture, resized so that its shorter side is `size`."""
        if not self.size:
            return picture
        if self.resize == "adm":
            while min(picture.size) >= 2 * self.size:
                picture = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.BOX)
        scale = self.size / min(picture.size)
        width, height = (max(self.size, round(side * scale)) for side in picture.size)
        left, top = (width - self.size) // 2, (height - self.size) // 2
        resized = picture.resize((width, height), Image.Resampling.BICUBIC)
        return resized.crop((left, top, left + self.size, top + self.size))


def _together(train: Pictures, test: Pictures, root: Path) -> ImageData:
    if train.images.shape[2:] != test.images.shape[2:]:
        raise UserError(f"image_folder: the halves of {root} differ in size; give image_folder a size")
    test, apart = _of_classes(train.class_names, test, root)
    images = [train.images, test.images]
    if images[0].shape[1] != images[1].shape[1]:
        images = [in_colour(part) for part in images]
    notes = (*train.notes, *test.notes, *apart, *_in_both(images[0], images[1], root))
    return ImageData(images[0], train.labels, images[1], test.labels, train.class_names, OWNERS, notes)


def _of_classes(names: tuple[str, ...], test: Pictures, root: Path) -> tuple[Pictures, list[str]]:
    """The held-out pictures of the training classes with matching labels, and notes about other classes.

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
    said += [f"{root} holds out no picture of {_classes(len(absent))}: {', '.join(absent[:3])}"] * bool(absent)
    return replace(test, images=taken(test.images, to >= 0), labels=to[to >= 0], class_names=names), said


def _classes(count: int) -> str:
    return "1 class" if count == 1 else f"{count} classes"


def _in_both(train: Images, test: Images, root: Path) -> list[str]:
    """A note if held-out pictures are also training pictures, which lowers every floor."""
    hashes = [digests_of(part).numpy().view("V16")[:, 0] for part in (train, test)]
    both = int(np.isin(hashes[1], hashes[0]).sum())
    note = f"{both} of the {len(test)} held-out pictures of {root} are also trained on, pixel for pixel: the floor is too low"
    return [note] * bool(both)


def split(found: Pictures, name: str = "image_folder", licence: str = OWNERS) -> ImageData:
    """Hold out a tenth of each class, at least one picture; the picture of a class with only one is for training.

    Raises:
        UserError: if every class has only one picture.
    """
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
        raise UserError(f"{name}: one picture a class is too few to hold any out; add more")
    notes = [f"of {_classes(len(single))} with one picture none is held out: {', '.join(single[:3])}"]
    parts = (None, None) if found.labels is None else (labels[~held_out], labels[held_out])
    said = (*found.notes, *notes * bool(single))
    images = taken(found.images, ~held_out), taken(found.images, held_out)
    return ImageData(images[0], parts[0], images[1], parts[1], found.class_names, licence, said)


@hookimpl
def mgbench_datasets() -> Mapping[str, type[Dataset]]:
    return {"image_folder": ImageFolder}
