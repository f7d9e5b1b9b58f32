"""Nested components, and hashes of the files that components read."""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

# Files with their modification times.
Stamps = tuple[tuple[Path, int], ...]


def stamps_of(paths: Iterable[Path]) -> Stamps:
    """Paths with their modification times (ns); 0 for missing files."""
    return tuple((path, path.stat().st_mtime_ns if path.is_file() else 0) for path in paths)


@cache
def file_hash(path: Path, changed: int) -> str:
    """The hash of a file's content, cached by modification time."""
    if not changed:
        return "none"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def components_of(values: Iterable[Any]) -> Iterator[Any]:
    """All components among some values, including those in lists and those in fields of other components."""
    for value in values:
        if isinstance(value, tuple | list):
            yield from components_of(value)
        elif dataclasses.is_dataclass(value):
            yield value
            yield from components_of(getattr(value, item.name) for item in dataclasses.fields(value))
