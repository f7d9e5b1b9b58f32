"""All pictures of a report, in order, for the page and the files.

Each maker yields the pictures of one topic, with title, caption, alternative text and a function that draws it, or none
if the rows lack the data.
"""

from mgbench.errors import UserError, suggestion
from mgbench.report.figures import (
    against,
    claims,
    effects,
    films,
    grids,
    guidance,
    models,
    schedules,
    sheets,
    stages,
    training,
    tuning,
)
from mgbench.report.figures.picture import Maker, Picture
from mgbench.report.stored import Stored

GALLERY: tuple[Maker, ...] = (
    against.pictures,
    claims.pictures,
    tuning.pictures,
    guidance.pictures,
    effects.pictures,
    grids.pictures,
    sheets.pictures,
    films.pictures,
    schedules.pictures,
    training.pictures,
    models.pictures,
    stages.pictures,
)


def gallery(stored: Stored) -> list[Picture]:
    """All pictures of the stored rows, or the requested ones; `draw` may still return None.

    Raises:
        UserError: if a requested picture does not exist, with the nearest name.
    """
    found = [picture for maker in GALLERY for picture in maker(stored)]
    wanted, known = stored.choices.only, {picture.stem for picture in found}
    for name in wanted:
        if name not in known:
            raise UserError(f"there is no picture {name!r} of these rows; {suggestion(name, known)}")
    return [picture for picture in found if not wanted or picture.stem in wanted]
