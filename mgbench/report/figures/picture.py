"""What is one picture of a report? A figure with the words that go with it, drawn when it is asked for."""

import base64
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import pandas as pd
from matplotlib.figure import Figure

from mgbench.record import Layout
from mgbench.report.style import DPI, theme


@dataclass(frozen=True)
class Stored:
    """What pictures are made from: the rows of a report and the folder of results they came from.

    `by` is a field whose values get a panel each, `neighbours` puts the nearest training images into the sheets, and `only`
    names the pictures to make (none: all).
    """

    frame: pd.DataFrame
    layout: Layout
    by: str = ""
    neighbours: bool = False
    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class Picture:
    """One picture of a report under one of its `SECTIONS`.

    `draw(dark)` gives None where there is nothing to show. A picture that is not `vector` consists of images and belongs
    into `sheets/` as PNG; `animate(dark)`, where there is one, gives the same as an animated GIF.
    """

    section: str
    stem: str
    title: str
    caption: str
    alt: str
    draw: Callable[[bool], Figure | None]
    vector: bool = True
    animate: Callable[[bool], bytes | None] | None = None

    @property
    def file(self) -> str:
        """Where a report keeps it."""
        return f"{'figures' if self.vector else 'sheets'}/{self.stem}.png"


# A page holds the same lines that lie beside it as a file.
_drawn: WeakKeyDictionary[Figure, dict[tuple[str, int], bytes]] = WeakKeyDictionary()

Maker = Callable[[Stored], Iterator[Picture]]


def as_png(figure: Figure, dark: bool = False, pixels: int = 2) -> bytes:
    """A figure as PNG with so many pixels per CSS pixel."""
    return as_bytes(figure, "png", dark, pixels)


def as_bytes(figure: Figure, kind: str, dark: bool = False, pixels: int = 2) -> bytes:
    """A figure as a file of a kind (png, svg, pdf); the same figure gives the same bytes."""
    known = _drawn.setdefault(figure, {})
    if (kind, pixels) not in known:
        known[kind, pixels] = _draw(figure, kind, dark, pixels)
    return known[kind, pixels]


def _draw(figure: Figure, kind: str, dark: bool, pixels: int) -> bytes:
    with theme(dark):
        settle(figure)
    buffer = io.BytesIO()
    dates = {"svg": ("Date", "Creator", "Format", "Type"), "pdf": ("CreationDate", "Creator", "Producer")}
    with theme(dark):
        figure.savefig(buffer, format=kind, dpi=pixels * DPI, metadata=dict.fromkeys(dates.get(kind, ("Software",))))
    return buffer.getvalue()


def settle(figure: Figure) -> None:
    """Lay a figure out once and for all, so that every file of it is the same and none has to be laid out again."""
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


def files_of(picture: Picture, figure: Figure) -> Iterator[tuple[str, bytes]]:
    """The files of a picture drawn light, by their names inside a report: PNG, for lines also SVG and PDF, for films GIF."""
    stem = picture.file.removesuffix(".png")
    for kind in ("png", "svg", "pdf") if picture.vector else ("png",):
        yield f"{stem}.{kind}", as_bytes(figure, kind)
    if picture.animate is not None and (film := picture.animate(False)) is not None:
        yield f"{stem}.gif", film


def as_data_uri(figure: Figure, vector: bool, dark: bool = False) -> str:
    """A figure as the address of an image that holds itself: drawn in lines, or in pixels."""
    kind, name = ("svg", "svg+xml") if vector else ("png", "png")
    return f"data:image/{name};base64," + base64.b64encode(as_bytes(figure, kind, dark)).decode()
