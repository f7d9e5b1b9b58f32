"""Every picture of a report, in the order in which a reader wants them; the page and the writer go through this one list.

A maker yields the pictures of one question, each with title, caption, alternative text and how it is drawn, or none
where the rows cannot answer it.
"""

from collections.abc import Iterator

from mgbench.errors import UserError, suggestion
from mgbench.report.figures import against, effects, films, grids, guidance, schedules, sheets, stages, training
from mgbench.report.figures.picture import Maker, Picture, Stored

GALLERY: tuple[Maker, ...] = (
    against.pictures,
    guidance.pictures,
    effects.pictures,
    grids.pictures,
    sheets.pictures,
    films.pictures,
    schedules.pictures,
    training.pictures,
    stages.pictures,
)


def gallery(stored: Stored) -> Iterator[Picture]:
    """Every picture that the stored rows could give, or those asked for; `draw` of one may still find nothing to show."""
    yield from (picture for picture in _all(stored) if not stored.only or picture.stem in stored.only)


def check_pictures(stored: Stored) -> None:
    """Refuse what was asked for and is not there, before anything is written.

    Raises:
        UserError: with the nearest name.
    """
    known = {picture.stem for picture in _all(stored)}
    for name in stored.only:
        if name not in known:
            raise UserError(f"there is no picture {name!r} of these rows; {suggestion(name, known)}")


def _all(stored: Stored) -> Iterator[Picture]:
    for maker in GALLERY:
        yield from maker(stored)
