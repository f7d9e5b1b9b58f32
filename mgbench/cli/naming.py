"""Names: of a study that nobody named, which takes nothing from another, and of the rows of a trial."""

import itertools
import shlex
import sys
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mgbench.recipes.study import Study
    from mgbench.results.layout import Layout
    from mgbench.trials.plan import Row, Trial


def settled(study: "Study", layout: "Layout", rows: "Iterable[Row]", given: bool) -> "tuple[Study, str]":
    """The study under a name that it can have, and what to say about that.

    A stored study of the same name loses no row to one that was not named: that one is called NAME-2 and so on. A study of the
    same command is the same study, also where an edited plugin gives its rows other keys. A name that was `given` is taken, and
    what the stored study loses is said.
    """
    keys = {row.key for row in rows}
    lost = _lost(layout, study.name, keys)
    if not lost:
        return study, ""
    if given:
        return study, (
            f"study {study.name}: {lost} of its rows are not part of it any more (their results stay stored); "
            "another --name keeps both"
        )
    name = next(name for name in _names(study.name) if not _lost(layout, name, keys))
    return replace(study, name=name), (
        f"this study is called {name}, because {study.name} has {lost} row{'s' * (lost != 1)} that it would lose; "
        "--name gives it another name"
    )


def _names(name: str) -> Iterable[str]:
    return (f"{name}-{number}" for number in itertools.count(2))


def _lost(layout: "Layout", name: str, keys: Collection[str]) -> int:
    """Number of finished rows of a stored study that would not be in one of the same name with these keys."""
    from mgbench.results.record import load_study
    from mgbench.results.schema import Corrupt

    try:
        view = load_study(layout.study(name))
    except (FileNotFoundError, Corrupt):
        return 0
    # What stands behind `mgbench run` is the same for `mgbench plan`.
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
    """Names of the rows of trials while they are computed, by key: method, seed, and what tells them apart."""
    return {
        row.key: f"{row.method}{_apart(trial, row)}"
        for trial in trials
        if trial.about == "images"
        for row in trial.rows
    }


def _apart(trial: "Trial", row: "Row") -> str:
    """The seed, and the fields by which rows of one method differ; steps are told apart from them."""
    own = [other.spelled for other in trial.rows if other.method == row.method]
    fields = [
        name for name in row.spelled if name != "sampling_steps" and any(one[name] != own[0][name] for one in own)
    ]
    told = [f"seed {row.assembly.recipe.seed}", *(f"{name}={_typed(row, name)}" for name in fields)]
    return f" ({', '.join(told)})"


def _typed(row: "Row", name: str) -> str:
    """A field as it was set, or as it is spelled out where it was not."""
    from mgbench.recipes.recipe import plain

    given = getattr(row.assembly.recipe, name)
    return str(plain(given) if given is not None else row.spelled[name])
