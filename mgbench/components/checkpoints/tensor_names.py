"""Names of tensors in messages: each of a few, groups by common prefix of many."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping

# Characters of a list that names every tensor; a longer one becomes a count and groups.
_LONGEST = 500
# Groups that are shown.
_GROUPS = 4


def named(what: str, names: Iterable[str] | Mapping[str, str]) -> str:
    """`what` with the names of tensors, each with its description if there is one; empty without names.

    Names that differ in numbers only are one name. If the list is long, their number and the largest groups of a common
    prefix are given instead, with the first name of each.
    """
    how = names if isinstance(names, Mapping) else dict.fromkeys(names, "")
    if not how:
        return ""
    every = ", ".join(_listed(how))
    return f"{what} {every if len(every) <= _LONGEST else _counted(how)}"


def _listed(how: Mapping[str, str]) -> Iterator[str]:
    """Every name with its description; those that differ in numbers only, and have the same description, in one."""
    alike: dict[tuple[str, str], list[tuple[int, ...]]] = {}
    for name in sorted(how):
        alike.setdefault((_pattern(name), how[name]), []).append(_numbers(name))
    for (like, about), all_ in alike.items():
        yield from (_described(name, about) for name in _written(like, all_))


def _counted(how: Mapping[str, str]) -> str:
    """The number of names, and the largest groups with their numbers and first names."""
    groups = sorted(_groups(sorted(how)).values(), key=len, reverse=True)
    said = [_of_group(group, how[group[0]]) for group in groups]
    rest = sum(map(len, groups[_GROUPS:]))
    return f"{len(how):,} tensors: {', '.join(said[:_GROUPS])}" + (f" and {rest:,} more" if rest else "")


def _of_group(group: list[str], about: str) -> str:
    if len(group) == 1:
        return _described(group[0], about)
    return f"{len(group):,} of {_prefix(group)} (such as {group[0]}{f', {about}' if about else ''})"


def _groups(names: list[str]) -> dict[str, list[str]]:
    """The names by the longest prefixes that are not too many; prefixes that differ in numbers only are one."""
    deepest = max(name.count(".") for name in names)
    found: dict[str, list[str]] = {}
    for depth in range(1, deepest + 1):
        split: dict[str, list[str]] = {}
        for name in names:
            split.setdefault(_pattern(_cut(name, depth)), []).append(name)
        if found and len(split) > _GROUPS:
            break
        found = split
    return found or {"": names}


def _prefix(group: list[str]) -> str:
    """The common prefix of names with the numbers that occur in each place: `layer{1-4}.{0-5}`."""
    depth = next((depth for depth in range(9, 0, -1) if len({_pattern(_cut(name, depth)) for name in group}) == 1), 1)
    cut = [_cut(name, depth) for name in group]
    places = [_range(sorted(set(place))) for place in zip(*map(_numbers, cut), strict=True)]
    return "".join(map(str.__add__, _pattern(cut[0]).split("#"), (*places, "")))


def _cut(name: str, depth: int) -> str:
    return ".".join(name.split(".")[:depth])


def _pattern(name: str) -> str:
    return re.sub(r"\d+", "#", name)


def _numbers(name: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", name)))


def _described(name: str, about: str) -> str:
    return f"{name} ({about})" if about else name


def _written(pattern: str, numbers: list[tuple[int, ...]]) -> Iterator[str]:
    """Names with these numbers in the places of `#`: one with ranges if every combination occurs, otherwise each."""
    values = [sorted(set(place)) for place in zip(*numbers, strict=True)]
    if math.prod(map(len, values)) != len(numbers):
        values_of_each = [[[number] for number in one] for one in sorted(numbers)]
    else:
        values_of_each = [values]
    between = pattern.split("#")
    for each in values_of_each:
        yield "".join(map(str.__add__, between, (*map(_range, each), "")))


def _range(numbers: list[int]) -> str:
    """A number, a range such as {0-11}, or a list such as {0,3}."""
    if len(numbers) == 1:
        return str(numbers[0])
    whole = numbers[-1] - numbers[0] == len(numbers) - 1 and len(numbers) > 2
    return f"{{{numbers[0]}-{numbers[-1]}}}" if whole else f"{{{','.join(map(str, numbers))}}}"
