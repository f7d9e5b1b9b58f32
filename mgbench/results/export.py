"""Export rows as a CSV or Parquet table, or as JSON with an object per row."""

import csv
import dataclasses
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from mgbench.errors import UserError
from mgbench.results.files import write, write_text
from mgbench.results.record import Record

ELSEWHERE = "name another file with --export"


def exporter(path: Path) -> "Export":
    """The export function for the suffix of a path.

    Raises:
        UserError: if the suffix is unknown, or the path is a folder.
    """
    suffix = path.suffix.lower()
    if suffix not in EXPORTS:
        raise UserError(
            f"--export writes a file that ends in {', '.join(EXPORTS)}, and {path.name!r} ends in none of them"
        )
    if path.is_dir():
        raise UserError(f"--export {path} is a folder; name a file in it")
    return EXPORTS[suffix]


Export = Callable[[Path, pd.DataFrame, Iterable[Record]], None]


def to_csv(path: Path, frame: pd.DataFrame, records: Iterable[Record]) -> None:
    """Write a line per row: text as it is, other values as JSON, missing values empty."""

    def put(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(frame)
            columns = [_cells(frame[name]) for name in frame]
            writer.writerows(zip(*columns, strict=True))

    write(path, put, ELSEWHERE)


def _cells(column: pd.Series) -> list[str]:
    values = [None if _missing(value) else value for value in column.tolist()]
    return ["" if value is None else value if isinstance(value, str) else json.dumps(value) for value in values]


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def to_parquet(path: Path, frame: pd.DataFrame, records: Iterable[Record]) -> None:
    """Write a column per field, score and cost, each of the narrowest type that fits; mixed columns are text."""
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table({str(name): _column(pa, frame[name].tolist()) for name in frame})
    write(path, lambda temporary: parquet.write_table(table, temporary), ELSEWHERE)


def _column(pa: ModuleType, values: list[Any]) -> Any:
    plain = [None if _missing(value) else value for value in values]
    try:
        return pa.array(plain)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        # A field that is a number in one row and a word in another.
        return pa.array([value if value is None or isinstance(value, str) else json.dumps(value) for value in plain])


def to_json(path: Path, frame: pd.DataFrame, records: Iterable[Record]) -> None:
    """Write an object per row, with recipe, scores, costs and origin as nested objects; NaN and infinities are null."""
    by_key = {record.key: dataclasses.asdict(record) for record in records}
    named = ((row["key"], row["method"], row["series"]) for row in frame.to_dict("records"))
    rows = [_finite({**by_key[key], "method": method, "series": series}) for key, method, series in named]
    text = json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n", ELSEWHERE)


def _finite(value: object) -> object:
    """Replace infinities and NaN, which JSON lacks, by None."""
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


EXPORTS: dict[str, Export] = {".csv": to_csv, ".parquet": to_parquet, ".json": to_json}
