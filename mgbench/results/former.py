"""Rows with keys of earlier versions: recognised and counted, but never used as results of this version.

Up to schema 4 a key hashed whole source files, and for the loops only a number that was raised by hand, so such a row
does not identify the code that computed it.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from mgbench.errors import UserError
from mgbench.results.layout import Layout
from mgbench.results.record import Record, load_record
from mgbench.results.schema import Corrupt

LAST_FORMER_SCHEMA = 4
# The consequence, as a sentence for users.
FORMER = (
    "in which keys do not identify the training and sampling code; reports of their studies show them, and no run "
    "reuses them: rows and models are computed again"
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
    """The keys of records that may be shown together, and a sentence if there are records with keys of an earlier
    version.

    If there are records of this version, those of earlier ones are left out.
    """
    records = list(records)
    # A record of this version has `keys`; only for records without them the file must be read.
    former = {item.key for item in records if not item.keys and is_former(layout.run(item.key) / _RECORD)}
    present = {item.key for item in records} - former
    count = f"{len(former)} {'row has a key' if len(former) == 1 else 'rows have keys'} of an earlier version"
    if former and present:
        return (
            present,
            f"{count}, left out: they are not mixed with rows of this version; a report of their study shows them",
        )
    return present | former, f"{count}, {FORMER}" if former else ""


def former_rows(layout: Layout, methods: Collection[str], keys: Collection[str]) -> int:
    """The number of finished rows of these methods with keys of an earlier version, except those with one of `keys`."""
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
