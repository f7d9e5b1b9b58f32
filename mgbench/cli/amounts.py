"""Parsers of times and numbers of images on the command line."""

import math

from mgbench.errors import UserError

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
