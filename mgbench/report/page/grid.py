"""Tables of the page, with columns that can be sorted, filtered, hidden and exported."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mgbench.report.frame import COUNT, POINT, REPEAT, score_names, spell, taken_steps, written
from mgbench.report.measures import cost_short, higher_is_better, number, score_name
from mgbench.report.page.details import recipe_fields
from mgbench.report.page.shell import finite
from mgbench.report.paired import BEST, TIED, standing
from mgbench.report.table import TABLE_COSTS, best_per_series, metrics_of, printable, steps_of

LIMITS = ("low", "high")


@dataclass(frozen=True)
class Column:
    """A column: the texts of its cells and, for a numeric column, its numbers.

    A `hidden` column is shown on request; a `facet` column has a menu of values as a filter. `marked` are the rows with
    the best value, `tied` those without a significant difference from it, and `swatch` shows the colour of a series
    before its name.
    """

    head: str
    cells: Sequence[str]
    numbers: Sequence[float | None] | None = None
    hidden: bool = False
    facet: bool = False
    swatch: bool = False
    marked: Sequence[int] = ()
    tied: Sequence[int] = ()

    def as_data(self) -> dict[str, Any]:
        """The data that the page's script reads."""
        flags = {name: True for name in ("hidden", "facet", "swatch") if getattr(self, name)}
        numbers = {} if self.numbers is None else {"numbers": [_briefly(value) for value in self.numbers]}
        marked = {name: list(rows) for name in ("marked", "tied") if (rows := getattr(self, name))}
        # Distinct texts, and their index for each row.
        codes, texts = pd.factorize(np.array(self.cells, dtype=object))
        return {"head": self.head, "texts": list(texts), "codes": codes.tolist(), **numbers, **flags, **marked}


@dataclass(frozen=True)
class Grid:
    """One table; `members` are, for each of its rows, the records behind it (none: the row is the record)."""

    id: str
    title: str
    note: str
    columns: list[Column]
    members: list[list[int]] | None = None
    details: bool = True

    def as_data(self) -> dict[str, Any]:
        """The data that the page's script reads."""
        columns = [column.as_data() for column in self.columns]
        return {"title": self.title, "columns": columns, "members": self.members, "details": self.details}


def grids(frame: pd.DataFrame, table: pd.DataFrame) -> list[Grid]:
    """The tables of a study: each series at its best, means over seeds, and single rows."""
    made = [_best(frame, table), _means(frame, table), _rows(frame)]
    return [grid for grid in made if grid is not None]


def _briefly(value: float | None) -> float | None:
    """To as many digits as matter, so that thousands of them do not fill the page."""
    return None if value is None else float(f"{value:.6g}")


def number_column(head: str, values: Iterable[Any], hidden: bool = False, facet: bool = False) -> Column:
    """A column of numbers, written as everywhere."""
    known = [finite(value) for value in values]
    return Column(head, [number(value) for value in known], known, hidden, facet)


def _best(frame: pd.DataFrame, table: pd.DataFrame) -> Grid | None:
    """Each series at its best number of steps by the first score; none where a series is all there is of one point."""
    metrics = metrics_of(table)
    if not metrics or table["series"].nunique() == len(table):
        return None
    best = best_per_series(frame, table, metrics[0])
    if best.empty:
        return None
    name = score_name(frame, metrics[0])
    signs = {metric: standing(frame, best, metric, higher_is_better(frame, metric)) for metric in metrics}
    note = f"Each series at the number of steps at which its {name} is best. {_note(table, signs, '')}"
    return Grid("best", "Best of each series", note, _of_summary(frame, best, signs), _members(frame, best))


def _means(frame: pd.DataFrame, table: pd.DataFrame) -> Grid:
    signs: dict[str, list[str]] = {}
    for metric in metrics_of(table) if table["series"].nunique() > 1 else ():
        signs[metric] = standing(frame, table, metric, higher_is_better(frame, metric), POINT)
    note = _note(table, signs, " at that number of steps")
    return Grid("means", "Means over seeds", note, _of_summary(frame, table, signs), _members(frame, table))


def _note(table: pd.DataFrame, signs: dict[str, list[str]], where: str) -> str:
    """The note on the marks in a table of means."""
    certain = any(table[f"{metric} low"].notna().any() for metric in metrics_of(table))
    said = ["Mean ± half of the 95 % interval over seeds." if certain else "One seed each: there is no interval."]
    found = {sign for column in signs.values() for sign in column}
    if BEST in found:
        said.append(f"Bold: the best{where}{'' if certain else ', which with one seed may be due to chance'}.")
    if TIED in found and certain:
        said.append("Underlined: no significant difference from it (95 % interval of the difference, paired by seed).")
    return " ".join([*said, "N: images scored."])


def _rows(frame: pd.DataFrame) -> Grid:
    columns = [
        *_names(frame),
        _steps(frame.assign(taken=taken_steps(frame))),
        number_column("seed", frame[REPEAT], facet=True),
    ]
    scores = [number_column(score_name(frame, metric), frame[metric]) for metric in score_names(frame)]
    costs = [number_column(cost_short(cost), frame[cost]) for cost in TABLE_COSTS if cost in frame]
    columns += [*scores[:1], *costs, *scores[1:]]
    columns.append(number_column("N", frame[COUNT]))
    columns += [_text(frame, "status", facet=True), _text(frame, "reason", hidden=True)]
    columns += list(_recipes(frame))
    return Grid("rows", "Every row", "Single seeds: the rows behind the means.", columns)


def _recipes(frame: pd.DataFrame) -> Iterator[Column]:
    """The fields that differ between rows, with a menu for those that do so within a method."""
    for name in recipe_fields(frame):
        column = _text(frame, name, hidden=True)
        if name not in (POINT, REPEAT) and len(set(column.cells)) > 1:
            within = pd.Series(column.cells).groupby(frame["method"].to_numpy()).nunique().max() > 1
            yield replace(column, facet=bool(within))


def _of_summary(frame: pd.DataFrame, table: pd.DataFrame, signs: dict[str, list[str]]) -> list[Column]:
    shown = printable(table)
    methods = frame.drop_duplicates("series").set_index("series")["method"]
    columns = _names(table.assign(method=table["series"].map(methods)))
    columns.append(_steps(table))
    # The first score comes before the costs, so that narrow screens show it.
    costs = [number_column(cost_short(cost), table[cost]) for cost in TABLE_COSTS if cost in table]
    for metric in metrics_of(table):
        head = score_name(frame, metric)
        means = [finite(value) for value in table[metric]]
        marks = {
            sign: [place for place, said in enumerate(signs.get(metric, ())) if said == sign] for sign in (BEST, TIED)
        }
        columns.append(Column(head, list(shown[head]), means, marked=marks[BEST], tied=marks[TIED]))
        columns += [number_column(f"{head} {end}", table[f"{metric} {end}"], hidden=True) for end in LIMITS]
        columns += costs
        costs = []
    return [
        *columns,
        number_column("N", table["images"]),
        number_column("seeds", table["seeds"]),
        _text(table, "status", facet=True),
    ]


def _steps(table: pd.DataFrame) -> Column:
    """The steps taken, with those asked for where they are others."""
    texts = [steps_of(asked, taken) for asked, taken in zip(table[POINT], table["taken"], strict=True)]
    return Column("steps", texts, [finite(value) for value in table["taken"].fillna(table[POINT])], facet=True)


def _names(frame: pd.DataFrame) -> list[Column]:
    """Series, and the method by itself where the series says more than that."""
    series = Column("series", [str(name) for name in frame["series"]], swatch=True)
    if frame["series"].nunique() == frame["method"].nunique():
        return [replace(series, facet=True)]
    return [series, _text(frame, "method", hidden=True, facet=True)]


def _text(frame: pd.DataFrame, name: str, hidden: bool = False, facet: bool = False) -> Column:
    return Column(name.replace("_", " "), written(frame[name], spell).tolist(), hidden=hidden, facet=facet)


def _members(frame: pd.DataFrame, table: pd.DataFrame) -> list[list[int]]:
    """The places in the frame of the records behind each row of a summary."""
    places: dict[tuple[Any, ...], list[int]] = {}
    for place, key in enumerate(_points(frame)):
        places.setdefault(key, []).append(place)
    return [places[key] for key in _points(table)]


def _points(rows: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Series and steps of each row; a row that did not finish may have none."""
    for series, steps in zip(rows["series"], rows[POINT], strict=True):
        yield series, finite(steps)
