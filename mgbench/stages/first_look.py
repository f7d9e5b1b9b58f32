"""The first pass over pictures: their sizes and hashes, cached if the pictures do not fit in memory."""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mgbench.errors import Unwritable
from mgbench.interfaces.images import DIGEST_BYTES, Images, LazyImages, as_digests, digest, each, fits
from mgbench.results.files import write
from mgbench.stages.pictures import Shown, Unreadable

# Version of the decoding; cached entries of other versions are ignored.
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Look:
    """One picture: height and width, channels (1 or 3), conversions, and the hash of its pixels.

    `broken` is the reason if it cannot be read.
    """

    size: tuple[int, int] = (0, 0)
    channels: int = 0
    lossy: bool = False
    changes: tuple[str, ...] = ()
    digest: bytes = bytes(DIGEST_BYTES)
    broken: str = ""


@dataclass(frozen=True)
class Looked:
    """The entries of pictures, and the pixels uint8 [H,W] or [H,W,3] of readable ones (None if they do not fit in
    memory).
    """

    looks: list[Look]
    pixels: list[np.ndarray] | None


def look_at(show: Callable[[int], Shown], count: int, what: str, files: Sequence[Path]) -> Looked:
    """Read `count` pictures with `show`; their pixels are kept if all fit in memory.

    If they do not fit, the entries are cached for the user under `what`, until the size or modification time of one of
    `files` changes. `show` raises `Unreadable`.
    """
    known = _recall(what, files)
    if known is not None:
        return Looked(known, None)
    looks: list[Look] = []
    pixels: list[np.ndarray] | None = []
    held = 0
    for look, shown in each(partial(_one, show), range(count), f"looking at {count:,} pictures"):
        looks.append(look)
        held += 0 if shown is None else shown.size
        pixels = pixels if fits((held,)) else None
        if pixels is not None and shown is not None:
            pixels.append(shown)
    if pixels is None:
        _remember(what, files, looks)
    return Looked(looks, pixels)


def _one(show: Callable[[int], Shown], place: int) -> tuple[Look, np.ndarray | None]:
    try:
        shown = show(place)
    except Unreadable as reason:
        return Look(broken=str(reason)), None
    image = as_image(shown.pixels)
    look = Look(shown.pixels.shape[:2], len(image), shown.lossy, tuple(shown.changes), digest(image))
    return look, shown.pixels


def as_image(pixels: np.ndarray) -> Tensor:
    """Convert pixels uint8 [H,W'] or [H,W',3] to an image uint8 [C,H,W']."""
    image = torch.from_numpy(np.array(pixels))
    return image[None] if image.ndim == 2 else image.permute(2, 0, 1)


@dataclass(frozen=True)
class _Shown:
    """Reads one picture with a number of channels."""

    show: Callable[[int], Shown]
    channels: int

    def __call__(self, place: int) -> Tensor:
        return as_image(self.show(place).pixels).expand(self.channels, -1, -1).contiguous()


def images_of(looked: Looked, show: Callable[[int], Shown]) -> Images:
    """The readable pictures, all of one size, with three channels if any of them is in colour."""
    places = [place for place, look in enumerate(looked.looks) if not look.broken]
    channels = max(looked.looks[place].channels for place in places)
    if looked.pixels is None:
        height, width = looked.looks[places[0]].size
        digests = as_digests([looked.looks[place].digest for place in places])
        return LazyImages(_Shown(show, channels), torch.tensor(places), digests, (channels, height, width))
    pixels = looked.pixels
    if channels == 3:
        pixels = [np.repeat(part[..., None], 3, 2) if part.ndim == 2 else part for part in pixels]
    images = torch.from_numpy(np.stack(pixels))
    return images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2).contiguous()


def cache_folder() -> Path:
    """The cache folder on this machine: `MGBENCH_CACHE`, or `mgbench` in the user's cache folder."""
    given = os.environ.get("MGBENCH_CACHE")
    usual = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given) if given else Path(usual) / "mgbench"


def _file(what: str, files: Sequence[Path]) -> Path:
    name = hashlib.sha256(json.dumps([_VERSION, what, len(files), str(files[0] if files else "")]).encode())
    return cache_folder() / "looks" / f"{name.hexdigest()[:16]}.npz"


def _stamps(files: Sequence[Path]) -> np.ndarray:
    """A hash of the name, the size and the modification time of each file, int64 [M,3]."""

    def stamp(file: Path) -> tuple[int, int, int]:
        found = file.stat()
        name = hashlib.blake2b(str(file).encode("utf-8", "surrogateescape"), digest_size=7).digest()
        return int.from_bytes(name, "big"), found.st_size, found.st_mtime_ns

    return np.array(list(each(stamp, files, f"looking for changes in {len(files):,} files")), np.int64).reshape(-1, 3)


def _recall(what: str, files: Sequence[Path]) -> list[Look] | None:
    path = _file(what, files)
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as found:
            kept: Mapping[str, np.ndarray] = dict(found)
        same = np.array_equal(kept["stamps"], _stamps(files))
        return _looks(kept) if same else None
    except Exception:
        # A damaged cache is written again.
        return None


def _looks(kept: Mapping[str, np.ndarray]) -> list[Look]:
    words: list[tuple[str, ...]] = [tuple(words) for words in json.loads(str(kept["words"]))]
    broken: dict[str, str] = json.loads(str(kept["broken"]))
    rows = zip(kept["numbers"].tolist(), kept["digests"], strict=True)
    return [
        Look((high, wide), channels, bool(lossy), words[said], seen.tobytes(), broken.get(str(place), ""))
        for place, ((high, wide, channels, lossy, said), seen) in enumerate(rows)
    ]


def _remember(what: str, files: Sequence[Path], looks: Sequence[Look]) -> None:
    words = list(dict.fromkeys(look.changes for look in looks))
    number = {said: place for place, said in enumerate(words)}
    rows = [(*look.size, look.channels, look.lossy, number[look.changes]) for look in looks]
    arrays = {
        "stamps": _stamps(files),
        "numbers": np.array(rows, np.int32),
        "digests": as_digests([look.digest for look in looks]).numpy(),
        "words": np.array(json.dumps(words)),
        "broken": np.array(json.dumps({place: look.broken for place, look in enumerate(looks) if look.broken})),
    }

    def put(path: Path) -> None:
        with path.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    # Without a writable cache, the next run reads the pictures again.
    with contextlib.suppress(Unwritable):
        write(_file(what, files), put)
