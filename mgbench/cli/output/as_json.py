"""Standard JSON output: NaN and infinity become null."""

import json
import math
from collections.abc import Mapping

import typer


def print_json(content: object) -> None:
    """Print values as indented JSON."""
    typer.echo(json.dumps(plain(content), indent=1, allow_nan=False, ensure_ascii=False))


def plain(value: object) -> object:
    """Convert a value to JSON types: dicts with text keys, lists, text, finite numbers, booleans and null."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    # Values of a frame: NumPy scalars, and pandas' markers of missing values.
    if hasattr(value, "item"):
        return plain(value.item())
    text = str(value)
    return None if text in ("<NA>", "NaT") else text
