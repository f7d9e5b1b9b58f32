"""A picture of a report: a figure with its texts, drawn on demand."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from matplotlib.figure import Figure

from mgbench.report.figures.labels import lay_out
from mgbench.report.stored import Stored
from mgbench.report.style import DPI, theme

# Without dates and program names, so that equal figures give equal files.
_UNSAID = {
    "png": ("Software",),
    "svg": ("Date", "Creator", "Format", "Type"),
    "pdf": ("CreationDate", "Creator", "Producer"),
}


@dataclass(frozen=True)
class Picture:
    """One picture of a report under one of its `SECTIONS`.

    Pictures with a `view` are alternatives, of which a page shows one at a time under this name. `draw()` returns None
    if there is nothing to show. A picture that is not `vector` consists of images and is written to `sheets/` as PNG;
    `animate()`, if given, returns an animated GIF.
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
    """Fix the layout of a figure, so that it is computed only once for all of its files."""
    lay_out(figure)
    figure.set_layout_engine(None)


def files_of(picture: Picture, figure: Figure) -> Iterator[tuple[str, bytes]]:
    """The files of a picture by their names inside a report: PNG, for lines also SVG and PDF, for films GIF."""
    for kind in ("png", "svg", "pdf") if picture.vector else ("png",):
        yield f"{picture.name}.{kind}", as_bytes(figure, kind)
    if picture.animate is not None and (film := picture.animate()) is not None:
        yield f"{picture.name}.gif", film
