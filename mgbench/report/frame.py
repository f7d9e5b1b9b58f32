"""What do the stored records say? One tidy frame: a row per record, a column per field, score and cost."""

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from mgbench.errors import UserError
from mgbench.recipe import FIELDS
from mgbench.record import Corrupt, Layout, Record, find_study, load_record

HEAD = ("key", "training_key", "about", "method", "series", "status", "reason")
TAIL = ("protocol", "data", "warnings")
# A series is a line of a figure: its points differ in the first, and the second is what its interval is taken over.
POINT, REPEAT = "sampling_steps", "seed"
# The cost that stands for the first where the process decides the number of steps itself.
TAKEN = "steps_taken"
FLOOR = "floor "


def read_results(path: Path | str, study: str | None = None) -> pd.DataFrame:
    """One row per stored record; with a study, its rows only, under its method names and in its order.

    Columns: key, training_key, about, method, series, status, reason; every field of a recipe; scores and costs by name; the
    floor of a score as "floor <score>"; protocol, data, warnings; and where and with which versions it was made. A
    `series` is the method with the fields that vary within it besides the seed and the sampling steps:
    "maskgit, sampler=halton". Where a process decides the number of steps itself, `sampling_steps` are those it took (none
    for a row that did not finish). `frame.attrs` lists the names of the `scores`, `costs` and `origin` columns, the
    `corrupt` files, how many rows of the study have no record yet (`missing`), and the study's `command`.

    Records that cannot be read are left out, with a warning that names the file.

    Raises:
        UserError: if there are no results, no such study, or a newer mgbench wrote them.
    """
    layout = Layout(Path(path))
    if not (layout.root / "runs").is_dir():
        raise UserError(f"there are no results in {layout.root}; 'mgbench run' makes some, or name another folder")
    view = find_study(layout, study) if study is not None else None
    corrupt: list[str] = []
    wanted = view.rows if view else [(key, None) for key in sorted(_keys(layout))]
    found = list(_records(layout, dict.fromkeys(key for key, _ in wanted), corrupt))
    by_key = {record.key: record for record in found}
    rows = [(by_key[key], method or by_key[key].method) for key, method in wanted if key in by_key]
    if view is None:
        rows.sort(key=lambda row: _natural(*row))
    frame = _frame(rows)
    missing = len(wanted) - len(rows) - sum(Path(name).parent.name in {key for key, _ in wanted} for name in corrupt)
    frame.attrs.update(corrupt=corrupt, missing=missing, study=study or "", command=view.command if view else "")
    return frame


def of_images(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows about the images of models: those about tokenizers are left out, and the scores and costs only they have."""
    rows = frame[frame["about"] == "images"].infer_objects()
    for names in ("scores", "costs"):
        rows.attrs[names] = [name for name in frame.attrs[names] if rows[name].notna().any()]
    others = {*frame.attrs["scores"], *frame.attrs["costs"]} - {*rows.attrs["scores"], *rows.attrs["costs"]}
    return rows.drop(columns=sorted(others))


def score_names(frame: pd.DataFrame) -> list[str]:
    """The columns that hold scores, in the order in which the recipes ask for them."""
    return list(frame.attrs.get("scores", ()))


def _keys(layout: Layout) -> Iterator[str]:
    return (path.parent.name for path in (layout.root / "runs").glob("*/record.json"))


def _records(layout: Layout, keys: Iterable[str], corrupt: list[str]) -> Iterator[Record]:
    for key in keys:
        path = layout.run(key) / "record.json"
        try:
            yield load_record(path)
        except FileNotFoundError:
            continue
        except Corrupt as problem:
            corrupt.append(str(path))
            warnings.warn(f"left out {path}: {problem}", stacklevel=3)


def _natural(record: Record, method: str) -> tuple[Any, ...]:
    fields = [value for name, value in record.recipe.items() if name not in (POINT, REPEAT)]
    settings = [(0, value, "") if isinstance(value, int | float) else (1, 0, str(value)) for value in fields]
    return method, settings, record.recipe.get(REPEAT) or 0, record.recipe.get(POINT) or 0, record.key


def _frame(rows: list[tuple[Record, str]]) -> pd.DataFrame:
    records = [record for record, _ in rows]
    fields = _union(FIELDS, *(record.recipe for record in records))
    scores = sorted(_union(*(record.scores for record in records)), key=_asked(records))
    costs = _union(*(record.costs for record in records))
    floors = [FLOOR + name for name in _union(*(record.floors for record in records))]
    origin = _union(*(record.origin for record in records))
    columns = _union(HEAD, fields, scores, costs, floors, TAIL, origin)
    cells = [_row(record, method) for record, method in rows]
    frame = pd.DataFrame(cells, columns=columns)
    for name in fields:
        # As it was recorded: a column of whole numbers and None would become one of floats.
        values = pd.Series([row.get(name) for row in cells], frame.index, object)
        frame[name] = values if values.isna().any() else values.infer_objects()
    frame["series"] = _series(frame, fields)
    frame.attrs.update(scores=scores, costs=costs, origin=origin)
    return frame


def _union(*parts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for part in parts for name in part))


def _asked(records: list[Record]) -> Any:
    """Sort key: a score's place among the metrics that the recipes name, then its name."""
    metrics = _union(*(map(str, record.recipe.get("metrics") or ()) for record in records))
    order = {name.partition("(")[0]: place for place, name in reversed(list(enumerate(metrics)))}
    return lambda score: (order.get(score.partition("[")[0], len(order)), score)


def _row(record: Record, method: str) -> dict[str, Any]:
    floors = {FLOOR + name: value for name, value in record.floors.items()}
    own = {name: getattr(record, name) for name in (*HEAD, *TAIL) if name not in ("series", "method")}
    recipe = {**record.recipe, POINT: _steps(record)}
    return {**record.origin, **record.costs, **record.scores, **floors, **recipe, **own, "method": method}


def _steps(record: Record) -> Any:
    asked, taken = record.recipe.get(POINT), record.costs.get(TAKEN)
    return round(taken) if asked is None and taken is not None else asked


def _series(frame: pd.DataFrame, fields: list[str]) -> list[str]:
    names = [name for name in fields if name not in (POINT, REPEAT)]
    spelled = pd.DataFrame({name: [spell(value) for value in frame[name]] for name in names}, index=frame.index)
    varies = spelled.groupby(frame["method"]).nunique() > 1
    varying = {method: [name for name in names if varies.at[method, name]] for method in varies.index}
    return [
        ", ".join([str(method), *(f"{name}={values[name]}" for name in varying[method])])
        for method, values in zip(frame["method"], spelled.to_dict("records"), strict=True)
    ]


def spell(value: Any) -> str:
    """A field's value as it is written in a legend."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or value != value:
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
