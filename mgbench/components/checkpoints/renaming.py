"""Translation of tensor names between two naming schemes."""

import itertools
import re
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Renaming:
    """Pairs of name prefixes (theirs, ours); the first match is used. `#` matches a number, which is copied in order."""

    pairs: tuple[tuple[str, str], ...]

    def ours(self, name: str) -> str | None:
        """Our name for their tensor name; None if there is none."""
        return _first(name, self._patterns[0])

    def theirs(self, name: str) -> str | None:
        """Their name for our tensor name; None if there is none."""
        return _first(name, self._patterns[1])

    @cached_property
    def _patterns(self) -> tuple[list[tuple[re.Pattern[str], str]], list[tuple[re.Pattern[str], str]]]:
        here = [_pattern(theirs, ours) for theirs, ours in self.pairs]
        back = [_pattern(ours, theirs) for theirs, ours in self.pairs]
        return here, back


def _pattern(before: str, after: str) -> tuple[re.Pattern[str], str]:
    groups = itertools.count(1)
    return re.compile(re.escape(before).replace(r"\#", r"(\d+)")), re.sub("#", lambda _: f"\\{next(groups)}", after)


def _first(name: str, patterns: list[tuple[re.Pattern[str], str]]) -> str | None:
    for pattern, after in patterns:
        found = pattern.match(name)
        if found:
            return found.expand(after) + name[found.end() :]
    return None
