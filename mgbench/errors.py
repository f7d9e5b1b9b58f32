"""What can go wrong, by who can mend it: the user (`UserError`), nobody (`Unfit`), the training itself (`Diverged`)."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches


class UserError(Exception):
    """Something that was asked for cannot be; the message says what to do. The command line shows it and exits with 2."""


class Unwritable(UserError):
    """Nothing more can be written: a full disk, or a folder that may not be written. The same command goes on afterwards."""


class Unfit(Exception):
    """Two components that cannot work together; the recipe becomes a `skipped` row with this sentence as its reason."""


class Partly(Unfit):
    """A metric that gives only some of its numbers, `scores`; the message says which others are left out, and why."""

    def __init__(self, reason: str, scores: Mapping[str, float] | None = None) -> None:
        super().__init__(reason)
        self.scores = dict(scores or {})


class Diverged(Exception):
    """The loss stopped being a number, or exploded; the trial becomes `diverged` rows."""


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def suggestion(name: str, known: Iterable[str]) -> str:
    """Say what could have been meant by an unknown `name`: the nearest of `known`, or all of them.

    Case, dashes and underscores do not count as differences.
    """
    names = sorted(known)
    by_plain = {_plain(candidate): candidate for candidate in names}
    near = get_close_matches(_plain(name), by_plain, n=1, cutoff=0.6)
    if near:
        return f"did you mean {by_plain[near[0]]!r}?"
    return f"there are {', '.join(names)}" if names else "there are none"
