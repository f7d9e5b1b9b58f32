"""Pictures of a page: drawn once, kept as files, and set into the page as SVG."""

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
    """A picture inside the page: its words and drawing; `view` is its word beside other views, `film` a file that moves."""

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
    """Draw each picture, keep it as files where there is a folder for them (drawn for a paper, if wanted), and give it.

    What finds nothing to show is left out.
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
