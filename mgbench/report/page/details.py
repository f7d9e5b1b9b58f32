"""Details of a row: recipe, scores, costs, protocol, environment and the command that repeats it."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from mgbench.report.frame import COUNT, FLOOR, HEAD, TAIL, score_names, spell, written
from mgbench.report.measures import cost_axis, score_name
from mgbench.report.page.repeat import commands
from mgbench.report.summary import MARK
from mgbench.results.layout import Layout

# Columns that the table and the groups below show already.
ELSEWHERE = {*HEAD, *TAIL, MARK, COUNT}
# Groups of preformatted text over the full width.
VERBATIM = ("To repeat it", "End of its log", "Source")


def recipe_fields(frame: pd.DataFrame) -> list[str]:
    """The columns that are fields of recipes."""
    named = (score_names(frame), frame.attrs.get("costs", ()), frame.attrs.get("origin", ()))
    known = ELSEWHERE.union(*named)
    return [name for name in map(str, frame) if name not in known and not name.startswith(FLOOR)]


def details(frame: pd.DataFrame, layout: Layout) -> list[dict[str, Any]]:
    """Groups of fields, each with its values once and for every record which of them it has (-1: none)."""
    costs, origin = frame.attrs.get("costs", ()), frame.attrs.get("origin", ())
    groups = {
        "To repeat it": [field("command", commands(frame, layout))],
        "End of its log": [_column(frame, "tail")],
        "Remarks": [_column(frame, "reason"), _warnings(frame)],
        "Recipe": [_column(frame, name) for name in recipe_fields(frame)],
        "Scores": [
            part
            for name in score_names(frame)
            for part in (
                _column(frame, name, score_name(frame, name)),
                _column(frame, FLOOR + name, f"real images, {score_name(frame, name)}"),
            )
        ],
        "Costs": [_column(frame, name, cost_axis(name)) for name in costs],
        "Protocol": [_column(frame, name) for name in ("protocol", "data", "key", "training_key")],
        "Environment": [_column(frame, name) for name in origin],
    }
    return as_groups(groups)


def as_groups(groups: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The data that the page's script reads: titled groups of the fields that say anything."""
    known = {title: [part for part in fields if part["values"]] for title, fields in groups.items()}
    return [
        {"title": title, "fields": fields, "verbatim": title in VERBATIM} for title, fields in known.items() if fields
    ]


def field(title: str, texts: Iterable[str]) -> dict[str, Any]:
    """A text per record, with distinct texts stored once; empty texts are not shown."""
    codes, values = pd.factorize(np.array(list(texts), dtype=object))
    empty = next((place for place, value in enumerate(values) if value == ""), None)
    kept = [str(value) for place, value in enumerate(values) if place != empty]
    if empty is not None:
        codes = np.where(codes == empty, -1, codes - (codes > empty))
    alike = len(kept) == 1 and empty is None
    return {"title": title, "values": kept, **({} if alike else {"codes": codes.tolist()})}


def _column(frame: pd.DataFrame, name: str, title: str | None = None) -> dict[str, Any]:
    if name not in frame:
        return field(title or name, [""] * len(frame))
    return field(title or name.replace("_", " "), written(frame[name], _written))


def _warnings(frame: pd.DataFrame) -> dict[str, Any]:
    said = ["; ".join(map(str, texts)) if isinstance(texts, list | tuple) else "" for texts in frame["warnings"]]
    return field("warnings", said)


def _written(value: object) -> str:
    """A value in full; empty if there is none."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else spell(value)
