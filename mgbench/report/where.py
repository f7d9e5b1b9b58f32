"""Selection of rows: a condition such as `sampler=halton and nfe<=16`, read and applied to a frame."""

import operator
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from mgbench.errors import UserError, suggestion
from mgbench.recipes.spec import Spec, parse_value

# Longer signs first, because "<=" starts with "<".
SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le, ">=": operator.ge, "!=": operator.ne, "==": operator.eq,
    "=": operator.eq, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
# A column may have an extractor or a tokenizer in brackets, which may contain signs.
_NAME, _SIGN = r"(?P<name>\w[\w ]*?(?:\[[^\]]*\])?)", "(?P<sign>" + "|".join(map(re.escape, SIGNS)) + ")"
_TERM = re.compile(rf"\s*{_NAME}\s*{_SIGN}\s*(?P<value>.+?)\s*")


def select(frame: pd.DataFrame, condition: str) -> pd.DataFrame:
    """The rows for which all terms of a condition hold: `column sign value`, joined by `and`.

    Signs are = != < <= > >=. A name alone matches a component with any options (`sampler=halton`), one with options
    (`constant(scale=2)`) a component that has these, whatever its others. A score may be named without its extractor
    where one extractor has it.

    Raises:
        UserError: if a term cannot be read or names no column.
    """
    keep = np.ones(len(frame), bool)
    for term in _terms(condition):
        keep &= _holds(frame, term)
    return frame[keep]


def _terms(condition: str) -> list[str]:
    """The terms joined by `and`, except inside brackets or quotation marks."""
    terms: list[str] = []
    for part in re.split(r"(\s+and\s+)", condition.strip(), flags=re.IGNORECASE) if condition.strip() else []:
        if terms and not _complete(terms[-1]):
            terms[-1] += part
        elif not re.fullmatch(r"\s+and\s+", part, flags=re.IGNORECASE):
            terms.append(part)
    return terms


def _complete(term: str) -> bool:
    outside = re.sub(r"'[^']*'|\"[^\"]*\"", "", term)
    return all(outside.count(opening) <= outside.count(closing) for opening, closing in ("()", "[]", "''", '""'))


def _holds(frame: pd.DataFrame, term: str) -> Any:
    match = _TERM.fullmatch(term)
    if match is None:
        raise UserError(f"cannot read the condition {term!r}; write for example 'sampler=halton and nfe<=16'")
    column, sign = frame[column_of(frame, match["name"])], match["sign"]
    value = parse_value(match["value"])
    if isinstance(value, int | float) and not isinstance(value, bool):
        return SIGNS[sign](pd.to_numeric(column, errors="coerce"), value).to_numpy(bool)
    if SIGNS[sign] not in (operator.eq, operator.ne):
        raise UserError(f"{term!r} compares with {sign}, which takes a number; {match['value']!r} is none")
    same = column.map(lambda found: _same(found, value)).to_numpy(bool)
    return same if SIGNS[sign] is operator.eq else ~same


def _same(found: object, value: object) -> bool:
    """Whether a stored value equals the given one; for a component, whether it has the given options."""
    if isinstance(value, bool | None):
        return found is value
    text = str(found)
    return text == str(value) or text.partition("(")[0] == str(value) or _fits(_stored(text), value)


@cache
def _stored(text: str) -> object:
    """The parsed stored value; text that is not a value is returned unchanged."""
    try:
        return parse_value(text)
    except UserError:
        return text


def _fits(found: object, asked: object) -> bool:
    """Whether a value matches: 1 equals 1.0, and options that are not given may have any value."""
    if isinstance(asked, str):
        return asked == (found.name if isinstance(found, Spec) else found)
    if isinstance(asked, tuple) and isinstance(found, tuple):
        return len(asked) == len(found) and all(map(_fits, found, asked))
    if not isinstance(asked, Spec):
        return isinstance(asked, bool) == isinstance(found, bool) and bool(found == asked)
    if not isinstance(found, Spec) or found.name != asked.name:
        return isinstance(found, str) and found == asked.name and not asked.args and not asked.options
    # Stored specs have all options, in the order of positional options.
    named, values = dict(found.options), [*found.args, *(value for _, value in found.options)]
    return (
        len(asked.args) <= len(values)
        and all(map(_fits, values, asked.args))
        and all(name in named and _fits(named[name], value) for name, value in asked.options)
    )


def column_of(frame: pd.DataFrame, name: str) -> str:
    """The column of this name, or the score of this name of the only extractor that has it.

    Raises:
        UserError: if there is none.
    """
    if name in frame:
        return name
    short = [column for column in map(str, frame.attrs.get("scores", ())) if column.partition("[")[0] == name]
    if len(short) == 1:
        return short[0]
    raise UserError(f"the results have no column {name!r}; {suggestion(name, map(str, frame))}")
