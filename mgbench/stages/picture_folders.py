"""Read folders of pictures, and report files that are left out."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from mgbench.errors import UserError
from mgbench.interfaces.images import Images, as_found
from mgbench.stages.first_look import Look, images_of, look_at
from mgbench.stages.pictures import EXTENSIONS, Change, Shown, Unreadable, show

# Number of file names in a note.
_NAMED = 3
# Folders that archives, network drives and file systems put beside those of people.
_UNSEEN = ("__MACOSX", "@eaDir", "#recycle", "lost+found", "$RECYCLE.BIN", "System Volume Information")


@dataclass(frozen=True)
class Pictures:
    """Images uint8 [M,C,H,W'] with C 1 or 3, in memory or not, optional labels int64 [M], class names, and notes.

    `pixels` is the conversion to uint8, as written in protocols.
    """

    images: Images
    labels: Tensor | None = None
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    pixels: str = "uint8"


def as_it_is(picture: Image.Image) -> Image.Image:
    """The picture (a PIL image) unchanged."""
    return picture


def read_folder(folder: Path, change: Change = as_it_is, way: str = "") -> Pictures:
    """Read the pictures in a folder and its subfolders, sorted by name, decoded as in a viewer and then changed by
    `change`.

    Pictures that do not fit in memory are read on access; `way` names the change in the cache.

    If pictures are in subfolders, the names of these are the classes, sorted as numbers if all are numbers. Hidden
    files are ignored. Unreadable files are left out, and notes list them with reasons.

    Raises:
        UserError: if no picture can be read, or they differ in size.
    """
    found = _walk(folder)
    files, strays = _without_strays(folder, found.pictures)
    if not files:
        raise UserError(f"there is no picture in {folder}; supported are {', '.join(sorted(EXTENSIONS))}")
    shows = _Files(files, change)
    looked = look_at(shows, len(files), f"{folder.resolve()} {way}", files)
    shown = {file: look for file, look in zip(files, looked.looks, strict=True) if not look.broken}
    broken = {file: look.broken for file, look in zip(files, looked.looks, strict=True) if look.broken}
    if not shown:
        first = next(iter(broken))
        raise UserError(f"{first} is no picture that can be read ({broken[first]}); write it again or take it away")
    _refuse_sizes(folder, shown)
    labels, names, empty = _classes(folder, list(shown))
    notes = [
        *_left_out(folder, broken),
        *_noted(folder, found.links, "are left out, as the links lead nowhere or back to where they lie"),
        *_noted(
            folder, found.hidden, "are left out, as hidden folders and those of systems and archives are no classes"
        ),
        *_noted(folder, found.others, "are left out, as they are no pictures that mgbench reads"),
        *_noted(folder, strays, "are left out, as they lie beside the folders of the classes"),
        *_noted(
            folder,
            [path for name in empty if (path := folder / name) not in found.links],
            "are no classes, as they hold no picture",
        ),
        *_noted(folder, _deeper(folder, list(shown)), "lie deeper in the folder of a class, to which they belong"),
        *_changes(folder, shown),
    ]
    return Pictures(images_of(looked, shows), labels, names, tuple(notes))


class _Files:
    """Reads pictures from files by index."""

    def __init__(self, files: Sequence[Path], change: Change) -> None:
        # Strings need half the memory of paths.
        self._files, self._change = [os.fspath(file) for file in files], change

    def __call__(self, place: int) -> Shown:
        return show(Path(self._files[place]), self._change)


@dataclass
class _Found:
    pictures: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    hidden: list[Path] = field(default_factory=list)
    links: list[Path] = field(default_factory=list)


def _walk(folder: Path) -> _Found:
    """All files in a folder and its subfolders, by category; links to folders are followed, except cycles."""
    found, real = _Found(), Path(os.path.realpath(folder))
    below = _below(folder, {str(real), *map(str, real.parents)}, found)
    for path in as_found(below, f"looking for pictures in {folder}"):
        if path.suffix.lower() in EXTENSIONS or (not path.suffix and _opens(path)):
            found.pictures.append(path)
        else:
            found.others.append(path)
    found.pictures.sort()
    return found


def _below(folder: Path, above: set[str], found: _Found) -> Iterator[Path]:
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"{folder} cannot be looked into ({error.strerror}); make it readable") from None
    for path in inside:
        if path.name.startswith(".") or path.name in _UNSEEN:
            found.hidden += [path] * path.is_dir()
        elif path.is_dir():
            real = os.path.realpath(path)
            if real in above:
                found.links.append(path)
            else:
                yield from _below(path, above | {real}, found)
        elif path.exists():
            yield path
        else:
            found.links.append(path)


def _opens(file: Path) -> bool:
    """Whether a file without a known suffix is a picture."""
    try:
        show(file)
    except Unreadable:
        return False
    return True


def _without_strays(folder: Path, files: list[Path]) -> tuple[list[Path], list[Path]]:
    """The pictures, and separately those next to folders with more pictures, such as a grid of samples."""
    above = [file for file in files if file.parent == folder]
    return (files, []) if 2 * len(above) >= len(files) else ([file for file in files if file.parent != folder], above)


def _refuse_sizes(folder: Path, shown: dict[Path, Look]) -> None:
    sizes = Counter(look.size for look in shown.values())
    if len(sizes) > 1:
        examples = {look.size: file.name for file, look in reversed(shown.items())}
        said = " and ".join(f"{examples[size]} is {size[0]}x{size[1]}" for size, _ in sizes.most_common(2))
        raise UserError(
            f"{said}, and the pictures of {folder} have {len(sizes)} sizes; bring all of them to one size, "
            "because how images are resized moves every distance"
        )


def _classes(folder: Path, files: list[Path]) -> tuple[Tensor | None, tuple[str, ...], list[str]]:
    """Labels int64 [M] of the pictures, the class names, and folders without pictures."""
    above = [file.relative_to(folder).parts[:-1] for file in files]
    if not all(above):
        return None, (), []
    found = [composed(parts[0]) for parts in above]
    names = class_order(set(found))
    beside = [path.name for path in sorted(folder.iterdir()) if path.is_dir() and not _is_hidden(path)]
    empty = [name for name in beside if composed(name) not in names]
    number = {name: label for label, name in enumerate(names)}
    return torch.tensor([number[name] for name in found]), names, empty


def _deeper(folder: Path, files: list[Path]) -> list[Path]:
    return [file for file in files if len(file.relative_to(folder).parts) > 2]


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".") or path.name in _UNSEEN


def composed(name: str) -> str:
    """The name in composed Unicode form (NFC), because file systems differ in the form of accented letters."""
    return unicodedata.normalize("NFC", name)


def class_order(names: Iterable[str]) -> tuple[str, ...]:
    """Class names in the order of their labels: numerically if all are numbers, otherwise alphabetically."""
    listed = list(names)
    by_number = all(name.isascii() and name.isdigit() for name in listed)
    return tuple(sorted(listed, key=lambda name: (int(name), name) if by_number else (0, name)))


def _left_out(folder: Path, broken: dict[Path, str]) -> list[str]:
    reasons = {file: f" ({reason})" for file, reason in broken.items()}
    return _noted(folder, list(broken), "are left out, as they cannot be read", reasons)


def _noted(folder: Path, files: Sequence[Path], what: str, reasons: dict[Path, str] | None = None) -> list[str]:
    """A note with the number of files and the names of the first; empty if there are none."""
    if not files:
        return []
    said = [f"{file.relative_to(folder)}{(reasons or {}).get(file, '')}" for file in files[:_NAMED]]
    more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
    return [f"{len(files)} in {folder} {what}: {', '.join(said)}{more}"]


def _changes(folder: Path, shown: dict[Path, Look]) -> list[str]:
    lossy = sum(part.lossy for part in shown.values())
    kinds = Counter(change for part in shown.values() for change in part.changes)
    losses = (
        f"{lossy} of {len(shown)} pictures in {folder} are JPEG or another lossy format, whose losses a distance sees"
    )
    return [
        *[f"{losses}; PNG has none"] * bool(lossy),
        *(f"{count} of {len(shown)} pictures in {folder} were {change}" for change, count in kinds.items()),
    ]
