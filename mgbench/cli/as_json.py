"""Plain values as JSON that every reader takes: a number that is none (NaN, infinity) is null."""

import json
import math
from collections.abc import Mapping
from typing import Any

import typer


def print_json(content: Any) -> None:
    """Print values as indented JSON."""
    typer.echo(json.dumps(plain(content), indent=1, allow_nan=False, ensure_ascii=False))


def plain(value: Any) -> Any:
    """A value in what JSON has: dicts with text as keys, lists, text, finite numbers, true, false and null."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    # What comes out of a frame: a NumPy scalar, or pandas' signs for nothing.
    if hasattr(value, "item"):
        return plain(value.item())
    text = str(value)
    return None if text in ("<NA>", "NaT") else text
