"""The command that repeats one row: that of its study, restricted to the method, seed and settings of the row."""

import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pandas as pd

from mgbench.errors import UserError
from mgbench.recipes.recipe import FIELDS
from mgbench.report.frame import POINT, REPEAT, SAMPLE_SEED, spell
from mgbench.results.layout import Layout
from mgbench.results.record import StudyView, load_study
from mgbench.results.schema import Corrupt

# Options of `mgbench run` that those of the row replace.
REPLACED = ("--methods", "--seeds", "--sample-seeds", "--vary", "--name")


def commands(frame: pd.DataFrame, layout: Layout) -> Iterator[str]:
    """The command that repeats each row; empty if no study has it."""
    views = _views(layout, frame.attrs.get("study", ""))
    base = cache(_base)
    varied = _varied(frame)
    for row in frame.to_dict("records"):
        view = views.get(row["key"])
        words = base(view.command) if view is not None else None
        yield "" if view is None or words is None else shlex.join([*words, *_own(row, view, varied)])


def _views(layout: Layout, name: str) -> dict[str, StudyView]:
    """The study of every key: the named one, or any that has it."""
    paths = [layout.study(name)] if name else sorted(layout.study("any").parent.glob("*.json"))
    found: dict[str, StudyView] = {}
    for path in paths:
        try:
            view = load_study(path)
        except (OSError, Corrupt, UserError):
            continue
        found |= {key: view for key, _ in view.rows if key not in found}
    return found


def _base(command: str) -> tuple[str, ...] | None:
    """The words of a command without options that rows replace; None if it is not a `run` command."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if words[:2] != ["mgbench", "run"]:
        return None
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in REPLACED:
            skip = True
        elif word.partition("=")[0] not in REPLACED:
            kept.append(word)
    return tuple(kept)


def _varied(frame: pd.DataFrame) -> dict[str, list[str]]:
    """For every method the fields that differ between its rows."""
    names = [name for name in FIELDS if name in frame and name not in (POINT, REPEAT)]
    spelled = pd.DataFrame({name: frame[name].map(spell) for name in names}, index=frame.index)
    varies = spelled.groupby(frame["method"]).nunique() > 1
    return {str(method): [name for name in names if varies.at[method, name]] for method in varies.index}


def _own(row: Mapping[Any, Any], view: StudyView, varied: Mapping[str, list[str]]) -> Iterator[str]:
    yield from ("--methods", str(row["method"]), "--seeds", spell(row[REPEAT]))
    for name in dict.fromkeys((POINT, SAMPLE_SEED, *varied[row["method"]])):
        if row[name] is not None and row[name] == row[name]:
            yield from ("--set", f"{name}={_value(row[name])}")
    yield from ("--name", f"{view.name}-repeated")


def _value(value: object) -> str:
    """A field's value as the command line reads it."""
    return f"[{spell(value)}]" if isinstance(value, list | tuple) else spell(value)
