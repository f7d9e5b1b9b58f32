"""What does a report write? The page, every figure as PNG, SVG and PDF, sheets and films, and the tables of a paper."""

from pathlib import Path

from mgbench.errors import UserError, suggestion
from mgbench.record import Layout
from mgbench.report.figures import check_pictures, gallery
from mgbench.report.figures.picture import Stored, files_of
from mgbench.report.frame import read_results, spelled_fields
from mgbench.report.page.report import write_report
from mgbench.report.papers import write_tables
from mgbench.report.style import on_paper
from mgbench.report.summary import mark_protocols


def write_all(
    results: Path,
    output: Path,
    study: str | None = None,
    *,
    where: str = "",
    by: str = "",
    paper: bool = False,
    neighbours: bool = False,
    only: tuple[str, ...] = (),
    allow_mismatch: bool = False,
    published: str = "",
) -> Path:
    """Write all of a report from stored records; the path of its page.

    `where` keeps some rows, `by` gives each value of a field a panel, `paper` draws the files for a paper's column,
    `neighbours` puts the nearest training images into the sheets, `only` names the pictures to make, and `published` the numbers
    to lay the rows over.

    Raises:
        UserError: if there is nothing to report, a name does not exist, or rows are not comparable.
    """
    stored = _stored(results, study, where, by, neighbours, only)
    check_pictures(stored)
    page = write_report(
        results,
        output,
        study,
        allow_mismatch=allow_mismatch,
        where=where,
        by=by,
        neighbours=neighbours,
        only=only,
        published=published,
    )
    if paper:
        _draw_for_paper(stored, output)
    write_tables(stored.frame, output)
    return page


def _draw_for_paper(stored: Stored, output: Path) -> None:
    """Draw every file anew, in the size of a column."""
    with on_paper():
        for picture in gallery(stored):
            figure = picture.draw(False)
            for name, content in files_of(picture, figure) if figure is not None else ():
                (output / name).write_bytes(content)


def _stored(results: Path, study: str | None, where: str, by: str, neighbours: bool, only: tuple[str, ...]) -> Stored:
    frame = read_results(results, study, where)
    if frame.empty and where:
        raise UserError(f"no row has {where!r}; leave --where out to see all of them")
    fields = list(map(str, spelled_fields(frame)))
    if by and by not in fields:
        raise UserError(f"--by takes a field of the recipe, and {by!r} is none; {suggestion(by, fields)}")
    return Stored(mark_protocols(frame), Layout(Path(results)), by, neighbours, only)
