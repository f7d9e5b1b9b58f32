"""The rows of a study as two small text files for a repository: one with what differs between rows, one with the rest."""

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mgbench.results.files import write_text
from mgbench.results.layout import Layout
from mgbench.results.record import Record, StudyView, find_study, load_record
from mgbench.results.schema import Corrupt

ROWS, FACTS = "results.csv", "facts.json"
PLAIN = ("key", "training_key", "method", "status", "reason", "about", "protocol")
MAPPINGS = ("recipe", "scores", "floors", "costs", "origin")
ORIGIN = ("device", "mgbench", "torch")
DIGITS = 6
# The path of a log means nothing on another machine.
_LOG = re.compile(r" \(log: [^)]*\)")


def keep(layout: Layout, study: str, folder: Path) -> int:
    """Write `results.csv` and `facts.json` of a stored study; the number of its rows.

    A line of the first holds what differs between rows: keys, method, status, reason, recipe, scores, costs and machine,
    numbers to six digits. The second holds the columns in which all rows of one subject agree, what metrics declare, the
    command, and how many rows have no record.

    Raises:
        UserError: if there is no such study, or a file cannot be written.
    """
    view = find_study(layout, study)
    records = _records(layout, view)
    lines = [_cells(record) for record in records]
    same = {
        about: _same([line for line in lines if line["about"] == about]) for about in {line["about"] for line in lines}
    }
    rest = [{name: text for name, text in line.items() if name not in same[line["about"]]} for line in lines]
    declared = {score: plain for record in records for score, plain in record.declared.items()}
    facts = {"study": view.name, "command": view.command, "missing": len(view.rows) - len(records)}
    write_text(folder / ROWS, _table(rest))
    write_text(
        folder / FACTS, json.dumps({**facts, "declared": declared, "same": dict(sorted(same.items()))}, indent=1) + "\n"
    )
    return len(records)


def read_kept(folder: Path) -> tuple[dict[str, Any], list[Record]]:
    """The facts of a kept study, and its records with what was kept of them.

    Raises:
        FileNotFoundError: if the folder has none.
    """
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    lines = csv.DictReader(io.StringIO((folder / ROWS).read_text(encoding="utf-8"), newline=""))
    return facts, [_record({**line, **facts["same"][line["about"]]}, facts["declared"]) for line in lines]


def _records(layout: Layout, view: StudyView) -> list[Record]:
    """The records of a study under its names of methods; those that are missing or damaged are left out."""
    found = []
    for key, method in view.rows:
        try:
            record = load_record(layout.run(key) / "record.json")
        except (FileNotFoundError, Corrupt):
            continue
        found.append(replace(record, method=method or record.method, reason=_LOG.sub("", record.reason)))
    return found


def _cells(record: Record) -> dict[str, str]:
    plain = {name: str(getattr(record, name)) for name in PLAIN}
    nested = {
        f"{part}.{name}": _text(value)
        for part in MAPPINGS
        for name, value in getattr(record, part).items()
        if part != "origin" or name in ORIGIN
    }
    return {**plain, **{name: text for name, text in nested.items() if text}}


def _text(value: object) -> str:
    """A value as JSON, text as it is unless JSON would read it as something else; None is empty."""
    if value is None:
        return ""
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.{DIGITS}g}"
    return value if isinstance(value, str) and value and _value(value) == value else json.dumps(value)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _same(lines: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The columns in which all lines have one value, except their subject, by which they are looked up."""
    first, *others = lines
    return {
        name: text for name, text in first.items() if name != "about" and all(line.get(name) == text for line in others)
    }


def _table(lines: Sequence[Mapping[str, str]]) -> str:
    names = list(dict.fromkeys(["about", *(name for line in lines for name in line)]))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _record(cells: Mapping[str, str], declared: Mapping[str, dict[str, str]]) -> Record:
    """The record of a line. A recipe has every field, None where its cell is empty; other parts have what they hold."""
    parts: dict[str, dict[str, Any]] = {part: {} for part in MAPPINGS}
    for name, text in cells.items():
        part, dot, inner = name.partition(".")
        if dot and part in parts and (text or part == "recipe"):
            parts[part][inner] = _value(text) if text else None
    scored = {score: plain for score, plain in declared.items() if score in parts["scores"]}
    return Record(**{name: cells[name] for name in PLAIN}, **parts, declared=scored)  # type: ignore[arg-type]
