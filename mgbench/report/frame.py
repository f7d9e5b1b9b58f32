"""Stored records as one tidy frame, with a row per record.

Columns:

- `key`, `training_key`, `about` ("images" or "tokenizer"), `method`, `status`, `reason`, `protocol`, `data`, `warnings`, `tail`.
- `series`: the method with the fields that vary within it, besides seed and steps: "maskgit, sampler=halton".
- Every field of a recipe. Where a process decides the number of steps itself, `sampling_steps` are those that it took.
- Scores and costs by name; the floor of a score as "floor <score>"; "scored images", the number of images.
- The machine, versions, command and times of its origin.

`frame.attrs`:

- `scores`, `costs`, `origin`: names of such columns; `declared`: what metrics declare of the scores.
- `same`: number of rows left out as the same sampling as another; `former`: a sentence about rows of an earlier version's keys.
- `corrupt`: files that cannot be read; `missing`: number of rows of the study without a record.
- Of a study: `study`, `command`, `references` (BibTeX), `packages`, `tuning`, and `claims` (none where rows are selected).
"""

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mgbench.errors import UserError
from mgbench.recipes.claims import Claim
from mgbench.recipes.kinds import KINDS
from mgbench.recipes.recipe import FIELDS, Recipe
from mgbench.report.labels import Uncopied
from mgbench.report.recorded import declarations, scored_images, scores_of
from mgbench.report.where import select
from mgbench.results.former import without_former
from mgbench.results.layout import Layout
from mgbench.results.record import Record, find_study, load_record
from mgbench.results.schema import Corrupt

HEAD = ("key", "training_key", "about", "method", "series", "status", "reason")
TAIL = ("protocol", "data", "warnings", "tail")
# A series is a line of a figure: its points differ in the first field, and its intervals are over the second.
POINT, REPEAT = "sampling_steps", "seed"
# Several samplings of one model are averaged, because they are not replicates (`mgbench.report.spread` shows them).
SAMPLE_SEED = "sample_seed"
# The cost that replaces the first field if the process determines the number of steps.
TAKEN = "steps_taken"
FLOOR = "floor "
METHOD = "method"
# Columns of origin about time and command, not about machine and versions.
WHEN, COMMAND = ("started", "finished"), "command"
# The subject of a record: images from a method, or reconstructions by a tokenizer.
ABOUT, IMAGES, TOKENIZER = "about", "images", "tokenizer"
# The number of scored images in a protocol.
COUNT = "scored images"
# The fields that a record may be older than, with the values that it was made with.
_SETTINGS = {name: value for name, value in Recipe().spelled().items() if name not in KINDS}


class Names(Uncopied, tuple[str, ...]):
    """Names in the `attrs` of a frame, such as those of its scores."""


class Claims(Uncopied, tuple[Claim, ...]):
    """The claims of a study, in the `attrs` of its frame."""


def read_results(path: Path | str, study: str | None = None, where: str = "", every: bool = False) -> pd.DataFrame:
    """Read stored records as a frame with a row each; of a study, its rows under its method names and in its order.

    `mgbench.report.frame` lists the columns and the `attrs`. `where` keeps the rows for which a condition holds, such as
    "sampler=halton and nfe<=16". Of rows that asked for more steps than can be taken, and so are the same sampling, the
    one that asked for fewest is kept, unless `every` row is wanted; rows of an earlier version's keys are left out where
    there are rows of this one, and records that cannot be read with a warning that names the file.

    Raises:
        UserError: if there are no results, no such study, a newer mgbench wrote them, or the condition cannot be read.
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
    together, former = without_former(layout, by_key.values())
    rows = [row for row in rows if row[0].key in together]
    if view is None:
        rows.sort(key=lambda row: _natural(*row))
    frame = select(as_frame(rows), where)
    frame["series"] = name_series(frame)
    read = by_key.keys() | {Path(name).parent.name for name in corrupt}
    missing = sum(key not in read for key, _ in wanted)
    said = {name: getattr(view, name, "") for name in ("command", "references", "tuning")}
    said |= {"corrupt": Names(corrupt), "packages": Names(getattr(view, "packages", ()))}
    claims = Claims(map(Claim.of, view.claims)) if view and not where else Claims()
    frame.attrs.update(missing=missing, same=0, former=former, study=study or "", claims=claims, **said)
    return frame if every else without_same(frame)


def without_same(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame without the rows that repeat another's sampling, with their number as `attrs["same"]`."""
    kept, same = one_row_per_sampling(frame)
    kept.attrs["same"] = same
    return kept


def one_row_per_sampling(frame: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The frame without the rows that repeat another's sampling, and how many these are.

    With more steps than tokens, some steps reveal nothing and are not taken: 32 steps on 16 tokens may be the 16-step
    row. Rows are one sampling where series, seed, steps taken, forwards and all scores agree. They stay where another
    seed of the same series and steps is a sampling of its own, so that every mean is over the same seeds.
    """
    scores = [name for name in score_names(frame) if name in frame]
    if TAKEN not in frame or not scores:
        return frame, 0
    asked, taken = (pd.to_numeric(frame[name], errors="coerce") for name in (POINT, TAKEN))
    if not (asked > taken).any():
        return frame, 0
    able = (frame["status"] == "done") & frame[scores].notna().any(axis=1) & taken.notna()
    known = [name for name in (SAMPLE_SEED, "nfe") if name in frame]
    keys = ["series", REPEAT, TAKEN, "protocol", *known, *scores]
    again = frame.loc[asked.sort_values(kind="stable").index].loc[able].duplicated(keys)
    of_all_seeds = again.groupby([frame["series"], asked], dropna=False).transform("all")
    left_out = again.index[of_all_seeds]
    return frame.drop(index=left_out), len(left_out)


def taken_steps(rows: pd.DataFrame) -> pd.Series:
    """The sampling steps of each row as they were taken, or as they were asked for where that is not recorded."""
    asked = pd.to_numeric(rows[POINT], errors="coerce")
    return pd.to_numeric(rows[TAKEN], errors="coerce").fillna(asked) if TAKEN in rows else asked


def taught(rows: pd.DataFrame) -> dict[str, list[str]]:
    """The names of the series that learn from each teacher, by its recipe as it is spelled."""
    if "teacher" not in rows:
        return {}
    pairs = rows.loc[rows["teacher"].notna(), ["teacher", "series"]].drop_duplicates()
    return {str(teacher): list(group["series"]) for teacher, group in pairs.groupby("teacher", sort=False)}


def of_images(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows about images of models, without rows about tokenizers and the scores and costs that only those have."""
    known = {names: Names(frame.attrs.get(names, ())) for names in ("scores", "costs")}
    alone = (frame[ABOUT] == IMAGES).all()
    rows = frame if alone else frame[frame[ABOUT] == IMAGES].infer_objects()
    has = rows[list(dict.fromkeys(itertools.chain(*known.values())))].notna().any()
    kept = {names: Names(name for name in known[names] if has[name]) for names in known}
    if alone and kept == known:
        return frame
    rows = rows.copy()
    rows.attrs.update(kept)
    return rows.drop(columns=sorted({*known["scores"], *known["costs"]} - {*kept["scores"], *kept["costs"]}))


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


def as_frame(rows: list[tuple[Record, str]]) -> pd.DataFrame:
    """The columns of records, each under the name of a method, in their order."""
    records = [record for record, _ in rows]
    fields = _union(FIELDS, *(record.recipe for record in records))
    scores = sorted(_union(*map(scores_of, records)), key=_asked(records))
    declared = declarations(records)
    costs = _union(*(record.costs for record in records))
    floors = [FLOOR + name for name in _union(*(record.floors for record in records))]
    origin = _union(*(record.origin for record in records))
    columns = _union(HEAD, fields, scores, costs, floors, TAIL, (COUNT,), origin)
    cells = [_row(record, method) for record, method in rows]
    frame = pd.DataFrame(cells, columns=columns)
    for name in fields:
        # As it was recorded: a column of whole numbers and None would become one of floats.
        values = [row.get(name) for row in cells]
        column = pd.Series(values, frame.index, object)
        frame[name] = column if column.isna().any() else column.infer_objects()
    frame.attrs.update(scores=Names(scores), costs=Names(costs), origin=Names(origin), fields=Names(fields))
    frame.attrs["declared"] = declared
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
    recipe = {**(_SETTINGS if record.about == IMAGES else {}), **record.recipe, POINT: _steps(record)}
    said = {**record.origin, **record.costs, **scores_of(record), **floors, **recipe, **own}
    return {**said, COUNT: scored_images(record.protocol), "method": method}


def _steps(record: Record) -> Any:
    asked, taken = record.recipe.get(POINT), record.costs.get(TAKEN)
    return round(taken) if asked is None and taken is not None else asked


def name_series(frame: pd.DataFrame, besides: tuple[str, ...] = ()) -> list[str]:
    """The series of every row: its method with the fields that vary within it, besides those that are points of a line."""
    spelled = spelled_fields(frame).drop(columns=[POINT, REPEAT, *besides], errors="ignore")
    names = np.array([str(method) for method in frame["method"]], object)
    for places in frame.groupby("method", sort=False).indices.values():
        for name in spelled:
            values = spelled[name].to_numpy()[places]
            if (values != values[0]).any():
                names[places] += f", {name}=" + values
    return list(names)


def spelled_fields(frame: pd.DataFrame) -> pd.DataFrame:
    """The recipe of every row as text, with a column per field.

    A sampling schedule that equals the schedule of training is "none". Sampling seeds have no column, so that rows that
    differ only in them belong to one series.
    """
    fields = [name for name in frame.attrs.get("fields", FIELDS) if name in frame and name != SAMPLE_SEED]
    spelled = pd.DataFrame({name: written(frame[name], spell) for name in fields}, index=frame.index, dtype=object)
    if {"mask_schedule", "sampling_schedule"} <= set(fields):
        follows = spelled["sampling_schedule"] == spelled["mask_schedule"]
        spelled.loc[follows, "sampling_schedule"] = "none"
    return spelled


def written(values: pd.Series, write: Callable[[Any], str]) -> np.ndarray:
    """Every value as text; distinct values, of which long columns have few, are converted once."""
    places, found = _different(values)
    texts: np.ndarray = np.array([write(value) for value in found], object)[places]
    return texts


def _different(values: pd.Series) -> tuple[np.ndarray, Sequence[Any]]:
    """The index of each value among the distinct ones, and the distinct values."""
    try:
        places, found = pd.factorize(values, use_na_sentinel=False)
        return places, list(found)
    except TypeError:
        # Lists have no hash; their texts tell them apart.
        first: dict[str, int] = {}
        places = np.array([first.setdefault(repr(value), len(first)) for value in values], int)
        return places, [values.iloc[place] for place in np.unique(places, return_index=True)[1]]


def panel_fields(frame: pd.DataFrame) -> list[str]:
    """The columns by whose values a figure may be split into panels."""
    origin = [name for name in frame.attrs.get("origin", ()) if name not in (*WHEN, COMMAND)]
    return [name for name in (METHOD, *frame.attrs.get("fields", FIELDS), *origin) if name in frame]


def spell(value: object) -> str:
    """A field's value as it is written in a legend."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or value != value:
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
