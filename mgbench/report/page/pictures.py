"""How does a picture get into the page? Drawn for light and for dark, kept as a file, and embedded."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mgbench.report import pictures
from mgbench.report.measures import slug
from mgbench.report.page.shell import write_whole
from mgbench.report.style import DPI


@dataclass(frozen=True)
class Embedded:
    """A picture inside the page: its words, and itself as data for a light and a dark page."""

    id: str
    title: str
    caption: str
    alt: str
    vector: bool
    light: str
    dark: str
    width: int
    height: int


def embed(wanted: Iterable[pictures.Picture], output: Path | None) -> Iterator[Embedded]:
    """Draw each picture twice, keep the light one as a file where there is a folder for it, and give both as data."""
    for picture in wanted:
        light, dark = picture.draw(False), picture.draw(True)
        if light is None or dark is None:
            continue
        if output is not None:
            write_whole(output / picture.file, pictures.as_png(light))
        width, height = (round(float(side) * DPI) for side in light.get_size_inches())
        uris = [pictures.as_data_uri(figure, picture.vector, figure is dark) for figure in (light, dark)]
        yield Embedded(
            slug(Path(picture.file).with_suffix("").as_posix()),
            picture.title, picture.caption, picture.alt, picture.vector, uris[0], uris[1], width, height,
        )  # fmt: skip
