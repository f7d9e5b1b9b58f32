"""Rows under keys of earlier versions: recognised and counted, but never used as results of this version.

Up to schema 4 a key hashed whole source files, and for the loops only a number that was raised by hand, so such a row does not
identify the code that computed it.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from mgbench.errors import UserError
from mgbench.results.layout import Layout
from mgbench.results.record import Record, load_record
from mgbench.results.schema import Corrupt

LAST_FORMER_SCHEMA = 4
# What this means for whoever has such rows.
FORMER = (
    "which do not say what code of training and sampling they rest on; the reports of their studies show them, and no run "
    "reuses them: it computes its rows anew, trained models included"
)
_RECORD = "record.json"
_HEADER = re.compile(rb'\s*{\s*"schema":\s*(\d+)')


def is_former(path: Path) -> bool:
    """Whether a stored record has a key of an earlier version; only its first 64 bytes are read."""
    try:
        with path.open("rb") as file:
            found = _HEADER.match(file.read(64))
    except OSError:
        return False
    return found is not None and int(found[1]) <= LAST_FORMER_SCHEMA


def former_records(layout: Layout) -> Iterator[Path]:
    """The paths of records with keys of an earlier version."""
    return (path for path in sorted((layout.root / "runs").glob(f"*/{_RECORD}")) if is_former(path))


def without_former(layout: Layout, records: Iterable[Record]) -> tuple[set[str], str]:
    """The keys of those records that may stand beside each other, and a sentence if some lie under keys of an earlier version.

    Records of this version go before those of an earlier one; where there are only the latter, all of them stay.
    """
    records = list(records)
    # A record of this version names the keys that it rests on; only of one that names none the file has to tell.
    former = {item.key for item in records if not item.keys and is_former(layout.run(item.key) / _RECORD)}
    present = {item.key for item in records} - former
    count = f"{len(former)} {'row is' if len(former) == 1 else 'rows are'} stored under keys of an earlier version"
    if former and present:
        return (
            present,
            f"{count} and left out: they are not mixed with rows of this one; a report of their study shows them",
        )
    return present | former, f"{count}, {FORMER}" if former else ""


def former_rows(layout: Layout, methods: Collection[str], keys: Collection[str]) -> int:
    """The number of finished rows of these methods under keys of an earlier version; rows with one of `keys` are not counted."""
    found = 0
    for path in former_records(layout):
        if path.parent.name in keys:
            continue
        try:
            record = load_record(path)
        except (Corrupt, FileNotFoundError, UserError):
            continue
        found += record.status == "done" and record.method in methods
    return found
