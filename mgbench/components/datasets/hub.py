"""Data sets of the Hugging Face hub, and folders in its formats, with the library `datasets`."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from mgbench.components.datasets.files import Fitted, Resize, split
from mgbench.errors import UserError, in_brief, suggestion
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Dataset
from mgbench.interfaces.data import ImageData
from mgbench.interfaces.images import in_colour
from mgbench.recipes.spec import Index
from mgbench.stages.first_look import images_of, look_at
from mgbench.stages.picture_folders import Pictures
from mgbench.stages.pictures import EXTENSIONS, Shown, Unreadable, show

if TYPE_CHECKING:
    import datasets

_HELD_OUT = ("test", "validation", "valid", "val")


@dataclass(frozen=True)
class Hub:
    """A data set of the Hugging Face hub by name (`ylecun/mnist`), or a local folder that the library `datasets` reads.

    Data sets of the hub have to be downloaded before, with `mgbench prepare`. `train` and `test` name the splits (by
    default `test` or `validation`; without one a tenth of each class is held out), `image` and `label` the columns, by
    default the first of their type. `size` and `resize` are those of `image_folder`. Source of the library: Lhoest et
    al. (2021), arXiv:2109.02846.
    """

    name: str
    config: str = ""
    train: str = "train"
    test: str = ""
    image: str = ""
    label: str = ""
    size: Index = 0
    resize: Resize = "bicubic"

    extractor: ClassVar[str] = "inception"

    def load(self) -> ImageData:
        """Images uint8 [M,C,H,W], labels int64 [M], and the class names of the data set.

        Raises:
            UserError: if `datasets` is missing, the data set was not downloaded, or it has no such split or column.
        """
        splits = self._splits(offline=True)
        if self.train not in splits:
            raise UserError(f"hub: {self.name} has no split {self.train!r}; {suggestion(self.train, splits)}")
        test = self.test or next((name for name in _HELD_OUT if name in splits), "")
        if self.test and self.test not in splits:
            raise UserError(f"hub: {self.name} has no split {self.test!r}; {suggestion(self.test, splits)}")
        trained, licence = self._pictures(splits[self.train]), _licence(splits[self.train], self.name)
        trained = replace(trained, notes=(*trained.notes, *self._not_in(splits)))
        if not test:
            return split(trained, "hub", licence)
        held_out = self._pictures(splits[test])
        return _both(self.name, trained, held_out, licence)

    def _not_in(self, splits: "Mapping[str, datasets.Dataset]") -> list[str]:
        """A note about pictures of a local folder that are in no split: one whose name has `train` in it hides the others."""
        files = Path(self.name).expanduser().rglob("*")
        there, read = sum(path.suffix.lower() in EXTENSIONS for path in files), sum(map(len, splits.values()))
        if there <= read:
            return []
        return [
            f"{there - read} of the {there} pictures of {self.name} are left out, as datasets takes folders called "
            f"{', '.join(splits)} or the like for splits, and no others; image_folder reads all class folders"
        ]

    def fetch(self) -> None:
        """Download the data set into the cache of the library, unless it exists.

        Raises:
            UserError: if the download fails.
        """
        self._splits(offline=False)

    def _splits(self, offline: bool) -> Any:
        """The splits of the data set by name."""
        library = _library()
        folder = Path(self.name).expanduser()
        try:
            if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
                found = library.load_from_disk(str(folder))
                return found if isinstance(found, dict) else {self.train: found}
            config = library.DownloadConfig(local_files_only=offline)
            return library.load_dataset(
                str(folder) if folder.exists() else self.name, self.config or None, download_config=config
            )
        except Exception as error:
            said = in_brief(error)
            raise UserError(f"hub: {self.name} cannot be read ({said}); 'mgbench prepare' fetches it") from None

    def _pictures(self, rows: "datasets.Dataset") -> Pictures:
        library = _library()
        image = self._column(rows, self.image, library.Image, "image")
        label = self._column(rows, self.label, library.ClassLabel, "label", needed=False)
        shows = _Rows(rows.cast_column(image, library.Image(decode=False)), image, Fitted(self.size, self.resize))
        files = [Path(part["filename"]) for part in rows.cache_files]
        looked = look_at(shows, len(rows), f"{self.name} {rows.split} {image} {self.size} {self.resize}", files)
        broken = [place for place, look in enumerate(looked.looks) if look.broken]
        readable = torch.tensor([not look.broken for look in looked.looks])
        if len(broken) == len(rows):
            raise UserError(f"hub: no picture of {self.name} can be read ({looked.looks[0].broken})")
        if len({look.size for look in looked.looks if not look.broken}) > 1:
            raise UserError(f"hub: the pictures of {self.name} differ in size; give hub a size")
        notes = [
            f"{len(broken)} pictures of {self.name} are left out, as they cannot be read: row {broken[:1]}"
        ] * bool(broken)
        notes += self._not_read(rows, library.Image, self.image, image, "image")
        notes += self._not_read(rows, library.ClassLabel, self.label, label, "label")
        labels, names = (None, ()) if not label else _labels(self.name, rows, label)
        known = None if labels is None else labels[readable]
        return Pictures(images_of(looked, shows), known, names, tuple(notes))

    def _column(self, rows: "datasets.Dataset", given: str, of: type, option: str, needed: bool = True) -> str:
        if given and given not in rows.column_names:
            raise UserError(f"hub: {self.name} has no column {given!r}; {suggestion(given, rows.column_names)}")
        found = given or next((name for name, feature in rows.features.items() if isinstance(feature, of)), "")
        if needed and not found:
            raise UserError(f"hub: {self.name} has no column of pictures; name one with {option}=…")
        return found

    def _not_read(self, rows: "datasets.Dataset", of: type, given: str, read: str, option: str) -> list[str]:
        """A note about columns of the same type as the one that is read, unless the user named that."""
        others = [name for name, feature in rows.features.items() if isinstance(feature, of) and name != read]
        if given or not others:
            return []
        return [
            f"{self.name} has {', '.join(others)} beside the column {read}, which is read; {option}=… names another"
        ]


def _library() -> Any:
    try:
        return import_module("datasets")
    except ImportError:
        raise UserError("hub needs the library datasets; pip install 'mgbench[hub]'") from None


class _Rows:
    """Reads pictures of a column by index."""

    def __init__(self, rows: "datasets.Dataset", column: str, change: Fitted) -> None:
        self._rows, self._column, self._change = rows, column, change

    def __call__(self, place: int) -> Shown:
        found = self._rows[place][self._column]
        if not found or not (found.get("bytes") or found.get("path")):
            raise Unreadable("there is none in this row")
        content: bytes | None = found.get("bytes")
        return show(io.BytesIO(content) if content else Path(found["path"]), self._change)


def _labels(name: str, rows: "datasets.Dataset", column: str) -> tuple[Tensor, tuple[str, ...]]:
    labels = torch.tensor(rows[:][column] if len(rows.column_names) == 1 else rows.select_columns([column])[:][column])
    if labels.ndim != 1 or labels.is_floating_point():
        raise UserError(f"hub: the column {column} of {name} holds no whole numbers; name another with label=…")
    feature = rows.features[column]
    names: Iterable[str] = getattr(feature, "names", None) or [str(label) for label in range(int(labels.max()) + 1)]
    if int(labels.min()) < 0:
        raise UserError(f"hub: some labels of {name} are below 0, as those of hidden test sets are; name another split")
    return labels.long(), tuple(names)


def _licence(rows: "datasets.Dataset", name: str) -> str:
    return str(rows.info.license or "") or f"That of {name}; mgbench does not know it"


def _both(name: str, train: Pictures, test: Pictures, licence: str) -> ImageData:
    if train.images.shape[2:] != test.images.shape[2:]:
        raise UserError(f"hub: the splits of {name} differ in size; give hub a size")
    if train.images.shape[1] != test.images.shape[1]:
        train, test = (replace(part, images=in_colour(part.images)) for part in (train, test))
    names = max(train.class_names, test.class_names, key=len)
    notes = (*train.notes, *test.notes)
    return ImageData(train.images, train.labels, test.images, test.labels, names, licence, notes)


@hookimpl
def mgbench_datasets() -> Mapping[str, type[Dataset]]:
    return {"hub": Hub}
