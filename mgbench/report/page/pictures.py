"""Pictures of a page: drawn once, written as files, and embedded as SVG."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from matplotlib.figure import Figure

from mgbench.report.figures.hover import hover_texts
from mgbench.report.figures.picture import Picture, as_bytes, files_of
from mgbench.report.measures import slug
from mgbench.report.page.inline import inline
from mgbench.report.page.shell import ELSEWHERE
from mgbench.report.style import DPI, on_paper
from mgbench.results.files import write_bytes


@dataclass(frozen=True)
class Embedded:
    """A picture in the page with its texts; `view` is its name among alternatives, `film` the file of an animation."""

    id: str
    section: str
    title: str
    caption: str
    vector: bool
    drawing: Markup
    view: str
    stem: str
    film: str = ""


@dataclass(frozen=True)
class Section:
    """The pictures under one heading."""

    id: str
    title: str
    pictures: list[Embedded]


def embed(wanted: Iterable[Picture], output: Path | None, paper: bool = False) -> Iterator[Embedded]:
    """Draw pictures, write them to `output` if given (drawn for a paper, if `paper`), and yield them for the page.

    Pictures with nothing to show are left out.
    """
    for picture in wanted:
        figure = picture.draw()
        if figure is None:
            continue
        files: dict[str, bytes] = {}
        if output is not None:
            files = dict(_files(picture, figure, paper))
            for file, content in files.items():
                write_bytes(output / file, content, ELSEWHERE)
        svg = None if paper else files.get(f"{picture.name}.svg")
        width, height = (round(float(side) * DPI) for side in figure.get_size_inches())
        name = slug(picture.name)
        yield Embedded(
            name, picture.section, picture.title, picture.caption, picture.vector,
            inline((svg or as_bytes(figure, "svg")).decode(), name, picture.alt, (width, height), hover_texts(figure)),
            picture.view, picture.stem,
            next((file for file in files if file.endswith(".gif")), ""),
        )  # fmt: skip


def _files(picture: Picture, figure: Figure, paper: bool) -> Iterator[tuple[str, bytes]]:
    """The files of a picture; for a paper it is drawn anew, in the size of a column."""
    with on_paper(paper):
        kept = picture.draw() if paper else figure
        yield from files_of(picture, kept) if kept is not None else ()


def sections(pictures: Iterable[Embedded]) -> list[Section]:
    """The pictures under their headings, in the order in which these come first."""
    found: dict[str, list[Embedded]] = {}
    for picture in pictures:
        found.setdefault(picture.section, []).append(picture)
    return [Section(slug(title), title, items) for title, items in found.items()]
