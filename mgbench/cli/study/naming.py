"""Default names of studies, which never replace a stored study, and display names of rows."""

import itertools
import shlex
import sys
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from mgbench.results.wording import counted

if TYPE_CHECKING:
    from mgbench.recipes.study import Study
    from mgbench.results.layout import Layout
    from mgbench.trials.plan import Row, Trial


def settled(study: "Study", layout: "Layout", rows: "Iterable[Row]", given: bool) -> "tuple[Study, str]":
    """The study under a free name, and a note about the choice.

    A study without a given name never replaces finished rows of a stored study: it becomes NAME-2 and so on. A study of the
    same command keeps its name, even if an edited plugin changes its keys. A `given` name is kept; the note then counts the
    rows that the stored study loses.
    """
    keys = {row.key for row in rows}
    lost = _lost(layout, study.name, keys)
    if not lost:
        return study, ""
    if given:
        return study, (
            f"study {study.name}: {lost} of its rows are not part of it any more (their results stay stored); "
            "use another --name to keep both"
        )
    name = next(name for name in _names(study.name) if not _lost(layout, name, keys))
    return replace(study, name=name), (
        f"this study is called {name}, because {study.name} has {counted(lost, 'row')} that would be dropped; "
        "use --name to choose a name"
    )


def _names(name: str) -> Iterable[str]:
    return (f"{name}-{number}" for number in itertools.count(2))


def _lost(layout: "Layout", name: str, keys: Collection[str]) -> int:
    """Number of finished rows of the stored study of that name that are not among these keys."""
    from mgbench.results.record import load_study
    from mgbench.results.schema import Corrupt

    try:
        view = load_study(layout.study(name))
    except (FileNotFoundError, Corrupt):
        return 0
    # `plan` and `run` with the same arguments are the same study.
    if shlex.split(view.command)[2:] == sys.argv[2:]:
        return 0
    return sum(key not in keys and _done(layout, key) for key, _ in view.rows)


def _done(layout: "Layout", key: str) -> bool:
    from mgbench.results.record import load_record
    from mgbench.results.schema import Corrupt

    try:
        return load_record(layout.run(key) / "record.json").status == "done"
    except (FileNotFoundError, Corrupt):
        return False


def row_names(trials: "Iterable[Trial]") -> dict[str, str]:
    """Display names of rows, by key: method, seed and the fields in which rows differ."""
    return {
        row.key: f"{row.method}{_apart(trial, row)}"
        for trial in trials
        if trial.about == "images"
        for row in trial.rows
    }


def _apart(trial: "Trial", row: "Row") -> str:
    """The seed, and the fields in which rows of one method differ, except the number of steps."""
    own = [other.spelled for other in trial.rows if other.method == row.method]
    fields = [
        name for name in row.spelled if name != "sampling_steps" and any(one[name] != own[0][name] for one in own)
    ]
    told = [f"seed {row.assembly.recipe.seed}", *(f"{name}={_typed(row, name)}" for name in fields)]
    return f" ({', '.join(told)})"


def _typed(row: "Row", name: str) -> str:
    """The value of a field as it was set, or its spelled-out default."""
    from mgbench.recipes.recipe import plain

    given = getattr(row.assembly.recipe, name)
    return str(plain(given) if given is not None else row.spelled[name])
