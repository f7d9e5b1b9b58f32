"""One picture of a report: a figure with the words that go with it, drawn when it is asked for."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from matplotlib.figure import Figure

from mgbench.report.figures.labels import lay_out
from mgbench.report.stored import Stored
from mgbench.report.style import DPI, theme

# Dates and names of programs would make the same figure another file every day.
_UNSAID = {
    "png": ("Software",),
    "svg": ("Date", "Creator", "Format", "Type"),
    "pdf": ("CreationDate", "Creator", "Producer"),
}


@dataclass(frozen=True)
class Picture:
    """One picture of a report under one of its `SECTIONS`.

    Pictures with a `view` show one question from several sides, of which a page shows one at a time under this word.
    `draw()` gives None where there is nothing to show. A picture that is not `vector` consists of images and belongs
    into `sheets/` as PNG; `animate()`, where there is one, gives the same as an animated GIF.
    """

    section: str
    stem: str
    title: str
    caption: str
    alt: str
    draw: Callable[[], Figure | None]
    vector: bool = True
    animate: Callable[[], bytes | None] | None = None
    view: str = ""

    @property
    def name(self) -> str:
        """Path of the picture inside a report, without the suffix of its kind of file."""
        return f"{'figures' if self.vector else 'sheets'}/{self.stem}"


Maker = Callable[[Stored], Iterator[Picture]]


def as_bytes(figure: Figure, kind: str, pixels: int = 2) -> bytes:
    """A figure as a file of a kind (png, svg, pdf), with so many pixels per CSS pixel; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with theme():
        settle(figure)
        figure.savefig(buffer, format=kind, dpi=pixels * DPI, metadata=dict.fromkeys(_UNSAID[kind]))
    return buffer.getvalue()


def settle(figure: Figure) -> None:
    """Lay a figure out once and for all, so that every file of it is the same and none has to be laid out again."""
    lay_out(figure)
    figure.set_layout_engine(None)


def files_of(picture: Picture, figure: Figure) -> Iterator[tuple[str, bytes]]:
    """The files of a picture by their names inside a report: PNG, for lines also SVG and PDF, for films GIF."""
    for kind in ("png", "svg", "pdf") if picture.vector else ("png",):
        yield f"{picture.name}.{kind}", as_bytes(figure, kind)
    if picture.animate is not None and (film := picture.animate()) is not None:
        yield f"{picture.name}.gif", film
