"""Exceptions: a request that cannot be met (`UserError`), components that do not fit (`Unfit`), a failed training
(`Diverged`).
"""

import textwrap
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

# Characters of another library's message that become part of a sentence.
_LONGEST = 300
# Names that are listed where none is near.
_OFFERED = 20
# Files of a folder that are named.
_NAMED = 4


class UserError(Exception):
    """A request that cannot be met; the message says what to do. The command line prints it and exits with code 2."""


class Unwritable(UserError):
    """A file cannot be written: the disk is full or the folder is read-only. Running the command again continues from
    there.
    """


class Unfit(Exception):
    """Components that cannot work together; the recipe becomes a `skipped` row with this sentence as its reason."""


class Partly(Unfit):
    """A metric that can compute only some of its numbers, given in `scores`; the message says which are missing and
    why.
    """

    def __init__(self, reason: str, scores: Mapping[str, float] | None = None) -> None:
        super().__init__(reason)
        self.scores = dict(scores or {})


class Diverged(Exception):
    """The training loss became NaN or infinite, or exploded; the rows of the trial are recorded as `diverged`."""


def in_brief(error: BaseException) -> str:
    """The message of an exception in one line, cut after a word where it is long; empty if there is none."""
    return textwrap.shorten(str(error), _LONGEST, placeholder=" …")


def as_sentence(error: BaseException) -> str:
    """An exception in one line: a `UserError` as it is, another one by its type and its message in brief."""
    if isinstance(error, UserError):
        return " ".join(str(error).split())
    return f"{type(error).__name__}: {in_brief(error) or 'no message'}"


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def nearest(name: str, known: Iterable[str]) -> str:
    """The name that is most like another; nothing where none is. Case, dashes and underscores do not count as differences."""
    by_plain = {_plain(candidate): candidate for candidate in sorted(known)}
    found = get_close_matches(_plain(name), by_plain, n=1, cutoff=0.6)
    return by_plain[found[0]] if found else ""


def suggestion(name: str, known: Iterable[str]) -> str:
    """The part of an error message that suggests names near an unknown `name`, or lists `known`, the first of very many.

    Case, dashes and underscores are ignored.
    """
    names = sorted(known)
    near = nearest(name, names)
    if near:
        return f"did you mean {near!r}?"
    more = f" and {len(names) - _OFFERED} more" if len(names) > _OFFERED else ""
    return f"there are {', '.join(names[:_OFFERED])}{more}" if names else "there are none"


def no_file(path: Path, suffixes: Collection[str]) -> str:
    """The message about a path that is no file: the files with these suffixes in a folder, or the nearest name beside it."""
    if path.is_dir():
        found = [file for pattern in ("*", "*/*") for file in sorted(path.glob(pattern)) if file.suffix in suffixes]
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        if found:
            return f"{path} is a folder; give one of the files in it: {', '.join(map(str, found[:_NAMED]))}{more}"
        return f"{path} is a folder without such a file ({', '.join(suffixes)}); give the path of one"
    beside = [file.name for file in path.parent.glob("*") if file.is_file()] if path.parent.is_dir() else []
    near = nearest(path.name, beside)
    return f"there is no file {path}; " + (f"did you mean {path.parent / near}?" if near else "give the path of one")
