"""Every picture of a report, in the order in which a reader wants them; the page and the writer go through this one list.

A maker yields the pictures of one question, each with title, caption, alternative text and how it is drawn, or none
where the rows cannot answer it.
"""

from mgbench.errors import UserError, suggestion
from mgbench.report.figures import against, effects, films, grids, guidance, models, schedules, sheets, stages, training
from mgbench.report.figures.picture import Maker, Picture
from mgbench.report.stored import Stored

GALLERY: tuple[Maker, ...] = (
    against.pictures,
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
    """Every picture that the stored rows could give, or those asked for; `draw` of one may still find nothing to show.

    Raises:
        UserError: if a picture is asked for that there is not, with the nearest name.
    """
    found = [picture for maker in GALLERY for picture in maker(stored)]
    wanted, known = stored.choices.only, {picture.stem for picture in found}
    for name in wanted:
        if name not in known:
            raise UserError(f"there is no picture {name!r} of these rows; {suggestion(name, known)}")
    return [picture for picture in found if not wanted or picture.stem in wanted]
