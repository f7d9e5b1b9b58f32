"""How does a picture get into the page? Drawn for light and for dark, kept as files, and embedded."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mgbench.report.figures.picture import Picture, as_data_uri, files_of
from mgbench.report.measures import slug
from mgbench.report.page.shell import write_whole
from mgbench.report.style import DPI


@dataclass(frozen=True)
class Embedded:
    """A picture inside the page: its words, and itself as data for a light and a dark page; `film` is a file that moves."""

    id: str
    section: str
    title: str
    caption: str
    alt: str
    vector: bool
    light: str
    dark: str
    width: int
    height: int
    film: str = ""


@dataclass(frozen=True)
class Section:
    """The pictures under one heading."""

    id: str
    title: str
    pictures: list[Embedded]


def embed(wanted: Iterable[Picture], output: Path | None) -> Iterator[Embedded]:
    """Draw each picture twice, keep the light one as files where there is a folder for them, and give both as data."""
    for picture in wanted:
        light, dark = picture.draw(False), picture.draw(True)
        if light is None or dark is None:
            continue
        names: list[str] = []
        if output is not None:
            for name, content in files_of(picture, light):
                write_whole(output / name, content)
                names.append(name)
        width, height = (round(float(side) * DPI) for side in light.get_size_inches())
        uris = [as_data_uri(figure, picture.vector, figure is dark) for figure in (light, dark)]
        yield Embedded(
            slug(Path(picture.file).with_suffix("").as_posix()), picture.section, picture.title, picture.caption,
            picture.alt, picture.vector, uris[0], uris[1], width, height,
            next((name for name in names if name.endswith(".gif")), ""),
        )  # fmt: skip


def sections(pictures: Iterable[Embedded]) -> list[Section]:
    """The pictures under their headings, in the order in which these come first."""
    found: dict[str, list[Embedded]] = {}
    for picture in pictures:
        found.setdefault(picture.section, []).append(picture)
    return [Section(slug(title), title, items) for title, items in found.items()]
