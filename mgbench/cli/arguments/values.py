"""Parsers of the values of options: lists, changes and axes of recipe fields, times, and numbers of images."""

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgbench.cli.arguments.study_files import study_file
from mgbench.errors import UserError

if TYPE_CHECKING:
    from mgbench.recipes.study import Outline

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str) -> float | None:
    """Parse a time such as 90s, 30m or 2h into seconds; a bare number is seconds, an empty text is None.

    Raises:
        UserError: if the text is not a positive time.
    """
    if not text:
        return None
    number, unit = (text[:-1], text[-1]) if text[-1] in UNITS else (text, "s")
    try:
        found = float(number) * UNITS[unit]
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise UserError(f"{text!r} is not a time; write for example 90s, 30m or 2h")
    return found


_AMOUNTS: dict[str, int | None] = {"all": None, "none": 0}


def most_images(text: str) -> int | None:
    """Parse a number of images: a whole number, `all` (None) or `none` (0).

    Raises:
        UserError: if the text is neither.
    """
    if text in _AMOUNTS:
        return _AMOUNTS[text]
    if not text.isdecimal():
        raise UserError(f"{text!r} is not a number of images; write for example 100, all or none")
    return int(text)


def outline(
    file: Path | None,
    plugins: list[str] | None,
    set_: list[str] | None,
    vary: list[str] | None,
    seeds: list[str] | None,
    methods: list[str] | None,
    name: str,
    sample_seeds: list[str] | None = None,
) -> "Outline":
    """The study file with the options of the command line on top.

    Raises:
        UserError: if one of them cannot be read.
    """
    from mgbench.recipes.study import Outline

    given = Outline(name, listed(plugins), listed(methods), seed_list(seeds), changes(set_), axes(vary))
    given = replace(given, sample_seeds=seed_list(sample_seeds, "--sample-seeds"))
    return given if file is None else given.over(study_file(file))


def changes(items: list[str] | None) -> dict[str, Any]:
    """The fields set by `--set`.

    Raises:
        UserError: if a field is given several values.
    """
    from mgbench.recipes.recipe import FIELDS
    from mgbench.recipes.spec import parse_list, parse_values

    found: dict[str, Any] = {}
    for name, text in _pairs(items, "--set"):
        takes_list = name in FIELDS and isinstance(FIELDS[name].default, tuple)
        values: tuple[Any, ...] = (parse_list(text),) if takes_list else parse_values(text)
        if len(values) != 1 or found.get(name, values[0]) != values[0]:
            both = text if name not in found else f"{found[name]},{text}"
            raise UserError(f"--set {name} takes one value; to run each of them write --vary {name}={both}")
        found[name] = values[0]
    return found


def axes(items: list[str] | None) -> dict[str, tuple[Any, ...]]:
    """The fields varied by `--vary`; values of a repeated field are joined."""
    from mgbench.recipes.spec import parse_values

    found: dict[str, tuple[Any, ...]] = {}
    for name, text in _pairs(items, "--vary"):
        values = (*found.get(name, ()), *parse_values(text))
        found[name] = tuple(value for place, value in enumerate(values) if value not in values[:place])
    return found


def names(text: str) -> tuple[str, ...]:
    """Split a comma-separated list of names."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def listed(texts: Iterable[str] | None) -> tuple[str, ...]:
    """Split the values of a repeatable option into names, without duplicates."""
    return tuple(dict.fromkeys(name for text in texts or () for name in names(text)))


def seed_list(texts: list[str] | None, option: str = "--seeds") -> tuple[int, ...]:
    try:
        return tuple(int(seed) for seed in listed(texts))
    except ValueError:
        given = ",".join(texts or ())
        raise UserError(f"{option} {given} is not a list of whole numbers; write for example {option} 0,1,2") from None


def _pairs(items: Iterable[str] | None, option: str) -> list[tuple[str, Any]]:
    pairs = [item.partition("=") for item in items or ()]
    for name, equals, value in pairs:
        if not equals or not value:
            raise UserError(f"{option} {name} needs a value; write for example {option} sampling_steps=8")
    return [(name.strip(), value) for name, _, value in pairs]
