"""The components inside a component, and the content of the files that it reads."""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

# Files, and when each was written last.
Stamps = tuple[tuple[Path, int], ...]


def stamps_of(paths: Iterable[Path]) -> Stamps:
    """Paths with the times of their last change (ns), 0 for files that are gone."""
    return tuple((path, path.stat().st_mtime_ns if path.is_file() else 0) for path in paths)


@cache
def file_hash(path: Path, changed: int) -> str:
    """The hash of a file's content, as it was when it was written last."""
    if not changed:
        return "none"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def components_of(values: Iterable[Any]) -> Iterator[Any]:
    """All components among some values: lists of them, and those that others were made with."""
    for value in values:
        if isinstance(value, tuple | list):
            yield from components_of(value)
        elif dataclasses.is_dataclass(value):
            yield value
            yield from components_of(getattr(value, item.name) for item in dataclasses.fields(value))
