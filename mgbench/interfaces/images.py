"""Real images that may exceed memory: a tensor, or images that are read on access."""

import hashlib
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from itertools import islice
from math import prod
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from mgbench.machine import cores

S = TypeVar("S")
T = TypeVar("T")

# Larger sets of images are read on access. The limit is constant, not a share of available memory, because the way in
# which images are read affects their fingerprint.
HELD_BYTES = 2**31
DIGEST_BYTES = 16
_MOST_THREADS = 16
_BATCHES_AHEAD = 2
_MOST_AHEAD = 256
# Number of images or files from which progress is shown.
_SHOWN_FROM = 500


class Images(Protocol):
    """Images uint8 [M,C,H,W'], in memory (a tensor) or read on access (`LazyImages`)."""

    @property
    def shape(self) -> Sequence[int]:
        """M, C, H and W'."""

    @property
    def dtype(self) -> torch.dtype:
        """`torch.uint8`."""

    def __len__(self) -> int:
        """The number of images M."""

    def __getitem__(self, rows: int | slice | Tensor) -> Tensor:
        """The images uint8 [B,C,H,W'] at rows int64 [B] or of a slice; one image uint8 [C,H,W'] for an int."""


@dataclass(frozen=True, eq=False)
class LazyImages:
    """Images uint8 [M,C,H,W'] that are read on access, with several threads.

    `read` returns the image uint8 [C,H,W'] at an index of its source; `places` int64 [M] are the indices of the images,
    and `digests` uint8 [M,16] the hashes of their pixels (`digest`). Reading is parallel, and should release the GIL.
    """

    read: Callable[[int], Tensor]
    places: Tensor
    digests: Tensor
    image_shape: tuple[int, int, int]
    dtype: torch.dtype = torch.uint8

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """M, C, H and W'."""
        return (len(self), *self.image_shape)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: int | slice | Tensor) -> Tensor:
        if isinstance(rows, int):
            return self.read(int(self.places[rows]))
        places = self.places[rows].tolist()
        if not places:
            return torch.empty(0, *self.image_shape, dtype=torch.uint8)
        with ThreadPoolExecutor(threads()) as pool:
            return torch.stack(list(pool.map(self.read, places)))

    def taken(self, rows: Tensor | slice) -> "LazyImages":
        """The images at these rows, int64 [B], bool [M] or a slice, unread."""
        return replace(self, places=self.places[rows], digests=self.digests[rows])

    def in_colour(self) -> "LazyImages":
        """The images with three channels, which are equal for grey images."""
        return (
            self
            if self.image_shape[0] == 3
            else replace(self, read=_Colour(self.read), image_shape=(3, *self.shape[2:]))
        )


@dataclass(frozen=True)
class _Colour:
    read: Callable[[int], Tensor]

    def __call__(self, place: int) -> Tensor:
        return self.read(place).expand(3, -1, -1)


def threads() -> int:
    """The number of threads that read images: one per available core, up to 16."""
    return min(cores(), _MOST_THREADS)


def fits(shape: Iterable[int]) -> bool:
    """Whether images uint8 of this shape [M,C,H,W'] are kept in memory."""
    return prod(shape) <= HELD_BYTES


def batches(images: Images, size: int) -> Iterator[Tensor]:
    """Yield all images in batches uint8 [B,C,H,W'] of `size`, the last possibly smaller; later ones are prefetched."""
    if not isinstance(images, LazyImages):
        yield from (images[first : first + size] for first in range(0, len(images), size))
        return
    every = ahead(images.read, images.places.tolist(), _BATCHES_AHEAD * size)
    for _ in range(0, len(images), size):
        yield torch.stack(list(islice(every, size)))


def ahead(work: Callable[[S], T], items: Iterable[S], count: int = _MOST_AHEAD) -> Iterator[T]:
    """Yield the results of `work` for every item, in order, computed by threads at most `count` items ahead."""
    pool, waiting = ThreadPoolExecutor(threads()), deque[Future[T]]()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def in_colour(images: Images) -> Images:
    """Convert images with one or three channels to uint8 [M,3,H,W'] without a copy."""
    if isinstance(images, LazyImages):
        return images.in_colour()
    return images[:].expand(-1, 3, -1, -1) if images.shape[1] == 1 else images


def taken(images: Images, rows: Tensor | slice) -> Images:
    """The images uint8 [B,C,H,W'] at rows int64 [B] or of a slice, without reading lazy images."""
    return images.taken(rows) if isinstance(images, LazyImages) else images[rows]


def in_memory(images: Images) -> Tensor:
    """Read all images uint8 [M,C,H,W'] into a tensor, which must fit in memory."""
    return images[:]


def digest(image: Tensor) -> bytes:
    """A hash (16 bytes) of the pixels of an image uint8 [C,H,W'], with grey converted to three channels."""
    return hashlib.blake2b(image.expand(3, -1, -1).contiguous().numpy().tobytes(), digest_size=DIGEST_BYTES).digest()


def digests_of(images: Images) -> Tensor:
    """The hashes uint8 [M,16] of images uint8 [M,C,H,W'], as computed by `digest`."""
    return (
        images.digests if isinstance(images, LazyImages) else as_digests([digest(image) for image in in_memory(images)])
    )


def as_digests(found: Sequence[bytes]) -> Tensor:
    """Hashes of M images as a tensor uint8 [M,16]."""
    return torch.frombuffer(bytearray(b"".join(found)), dtype=torch.uint8).view(-1, DIGEST_BYTES) if found else _NONE


_NONE = torch.empty(0, DIGEST_BYTES, dtype=torch.uint8)


# Receives how many of how many items are done. Worker processes have one; others show progress in the terminal.
Watcher = Callable[[int, int], None]
_WATCHER: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Context in which `each` reports to a watcher after every item."""
    before = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(before)


def each(work: Callable[[S], T], items: Sequence[S], what: str) -> Iterator[T]:
    """Yield the results of `work` for every item, in order, computed by threads.

    Progress goes to the watcher. Without one, many items get a progress bar in a terminal, and a line elsewhere.
    """
    found, watcher = ahead(work, items), _WATCHER.get()
    yield from _shown(found, what, len(items)) if watcher is None else _told(found, watcher, len(items))


def as_found(items: Iterable[T], what: str) -> Iterator[T]:
    """Yield items whose number is not known before, such as files of a folder, with progress as that of `each`.

    The watcher gets the number so far as their total.
    """
    watcher = _WATCHER.get()
    if watcher is None:
        yield from _tallied(items, what)
        return
    for count, item in enumerate(items, 1):
        watcher(count, count)
        yield item


def _told(found: Iterator[T], watcher: Watcher, total: int) -> Iterator[T]:
    for done, result in enumerate(found, 1):
        watcher(done, total)
        yield result


def _tallied(items: Iterable[T], what: str) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import Progress, TextColumn

    columns = (TextColumn("{task.description}:"), TextColumn("{task.completed:,.0f}"))
    terminal = sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not terminal) as bar:
        task = bar.add_task(what, total=None, visible=False)
        for count, item in enumerate(items, 1):
            if count == _SHOWN_FROM and not terminal:
                print(f"mgbench: {what}", file=sys.stderr, flush=True)
            if count % _SHOWN_FROM == 0:
                bar.update(task, completed=count, visible=True)
            yield item


def _shown(found: Iterator[T], what: str, total: int) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import track

    many, terminal = total >= _SHOWN_FROM, sys.stderr.isatty()
    if many and not terminal:
        print(f"mgbench: {what}", file=sys.stderr, flush=True)
    yield from track(found, what, total, transient=True, disable=not (many and terminal), console=Console(stderr=True))
