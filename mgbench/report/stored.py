"""The input of a report: stored rows, their folder, and options."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mgbench.errors import UserError, suggestion
from mgbench.report.frame import of_images, panel_fields, read_results, score_names, without_same
from mgbench.report.judging import Verdict, verdicts
from mgbench.report.summary import comparable, mark_protocols
from mgbench.results.layout import Layout


@dataclass(frozen=True)
class Choices:
    """Options of a report: the rows it shows and the form of its figures.

    `where` selects rows by a condition; `by` makes a panel for each value of a column; `paper` draws files for a column
    of a paper; `neighbours` adds the nearest training images to sheets; `only` names the pictures to make (empty: all);
    `allow_mismatch` combines rows of different protocols, marked; `published` names published results to add rows to.
    """

    where: str = ""
    by: str = ""
    paper: bool = False
    neighbours: bool = False
    only: tuple[str, ...] = ()
    allow_mismatch: bool = False
    published: str = ""
    title: str = ""


DEFAULT = Choices()


@dataclass(frozen=True)
class Stored:
    """The rows of a report, with marks for protocols other than the first, their folder, the options, and the verdicts on
    the claims of their study.
    """

    frame: pd.DataFrame
    layout: Layout
    choices: Choices = DEFAULT
    verdicts: tuple[Verdict, ...] = ()


def read_stored(results: Path, study: str | None = None, choices: Choices = DEFAULT) -> Stored:
    """Read the input of a report.

    Raises:
        UserError: if there is nothing to report, a name does not exist, or rows are not comparable and may not be mixed.
    """
    every = read_results(results, study, choices.where, every=True)
    frame = without_same(every)
    if frame.empty:
        raise UserError(
            f"no row has {choices.where!r}; leave --where out to see all of them"
            if choices.where
            else f"{results} holds no record that can be read; run the study again"
        )
    known = panel_fields(frame)
    if choices.by and choices.by not in known:
        raise UserError(
            f"--by takes what says how a row was made (a field of its recipe, its method, its device, …), and {choices.by!r} "
            f"does not; {suggestion(choices.by, known)}"
        )
    images = of_images(frame)
    for metric in score_names(images):
        comparable(images, metric, choices.allow_mismatch)
    return Stored(mark_protocols(frame), Layout(Path(results)), choices, tuple(verdicts(every)))
