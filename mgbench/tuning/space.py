"""The space of a search: some values for each field of a recipe, in which `low..high` stands for a range of numbers."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mgbench.errors import UserError
from mgbench.recipes.recipe import SPECS, Recipe, check_field, decides, plain
from mgbench.recipes.spec import Spec, Value

_RANGE = re.compile(r"\s*(-?\d+(?:\.\d+)?)\.\.(-?\d+(?:\.\d+)?)\s*")
_QUOTED = re.compile(rf"'({_RANGE.pattern})'")
# Ranges of at least this ratio are searched on a logarithmic scale.
_WIDE = 10
_DIGITS = 3


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`, both included; whole numbers if both are written as such.

    Raises:
        UserError: if `low` is not below `high`.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise UserError(f"the range {self.low:g}..{self.high:g} is empty; write the smaller number first")

    @property
    def whole(self) -> bool:
        """Whether its numbers are whole."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def wide(self) -> bool:
        """Whether it is searched on a logarithmic scale."""
        return self.low > 0 and self.high >= _WIDE * self.low

    def rounded(self, number: float) -> float:
        """A number of the range in three digits, so that recipes are readable."""
        if self.whole:
            return round(number)
        return min(max(float(f"{number:.{_DIGITS}g}"), self.low), self.high)

    def with_number(self, number: float) -> "Range":
        """The smallest range that also has a number."""
        return Range(min(self.low, number), max(self.high, number))

    def __str__(self) -> str:
        return f"{self.low}..{self.high}"


def read_range(value: object) -> Range | None:
    """Parse a range; None if the text is not a range; raises as `Range`."""
    found = _RANGE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    low, high = found[1], found[2]
    return Range(int(low), int(high)) if "." not in low + high else Range(float(low), float(high))


class Suggest(Protocol):
    """A source of values by name, which returns the same value for the same name."""

    def number(self, name: str, among: Range) -> float:
        """A number of a range."""

    def choice(self, name: str, among: Sequence[str]) -> str:
        """One of some texts."""


@dataclass(frozen=True)
class Axis:
    """A field, or an option of its component (`solver.steps`), the recipe's `own` value, and those to try instead."""

    field: str
    own: Value
    others: tuple[Value, ...]

    @property
    def range(self) -> Range | None:
        """The range that is all there is to try, with the recipe's own number; None if there are several values."""
        found = read_range(self.others[0]) if len(self.others) == 1 else None
        if found is None or isinstance(self.own, bool) or not isinstance(self.own, int | float):
            return None
        return found.with_number(self.own)

    @property
    def choices(self) -> dict[str, Value]:
        """The values by their texts, the recipe's own first."""
        return {_text(value): value for value in (self.own, *self.others)}

    def suggest(self, suggest: Suggest) -> Value:
        """A value of this axis, without ranges in it."""
        if self.range is not None:
            return self.range.rounded(suggest.number(self.field, self.range))
        text = suggest.choice(self.field, list(self.choices))
        return _filled(self.choices[text], suggest, f"{self.field}[{text}]")

    @property
    def own_answers(self) -> dict[str, Any]:
        """The answers to `Suggest` that give the recipe's own value."""
        return {self.field: self.own if self.range is not None else _text(self.own)}


def _text(value: Value) -> str:
    # A spec quotes what is no word.
    return _QUOTED.sub(r"\1", str(plain(value)))


def _filled(value: Value, suggest: Suggest, name: str) -> Value:
    """A value with a number for every range in it, each named by the path to it."""
    among = read_range(value)
    if among is not None:
        return among.rounded(suggest.number(name, among))
    if not isinstance(value, Spec):
        return value
    args = tuple(_filled(item, suggest, f"{name}.{place}") for place, item in enumerate(value.args))
    return Spec(value.name, args, tuple((key, _filled(item, suggest, f"{name}.{key}")) for key, item in value.options))


@dataclass(frozen=True)
class Space:
    """The axes of a search, in order."""

    axes: tuple[Axis, ...]

    def suggest(self, suggest: Suggest) -> dict[str, Value]:
        """A value for every field that is not left as it is in the recipe."""
        found = {axis.field: axis.suggest(suggest) for axis in self.axes}
        return {axis.field: found[axis.field] for axis in self.axes if found[axis.field] != axis.own}

    @property
    def own_answers(self) -> dict[str, Any]:
        """The answers to `Suggest` that leave the recipe as it is."""
        return {name: answer for axis in self.axes for name, answer in axis.own_answers.items()}

    def alternatives(self) -> Iterator[tuple[str, Value, Value]]:
        """Every other value of every field: the field, the value, and the value with the lowest number for each range."""
        for axis in self.axes:
            for value in axis.others:
                yield axis.field, value, _filled(value, _Lowest(), "")

    def without(self, left_out: Mapping[str, Sequence[Value]]) -> "Space":
        """The space without some values of its axes (given with ranges in them), and without axes that have no other."""
        kept = [
            Axis(
                axis.field, axis.own, tuple(value for value in axis.others if value not in left_out.get(axis.field, ()))
            )
            for axis in self.axes
        ]
        return Space(tuple(axis for axis in kept if axis.range is not None or len(axis.choices) > 1))


class _Lowest:
    def number(self, name: str, among: Range) -> float:
        return among.low

    def choice(self, name: str, among: Sequence[str]) -> str:
        return among[0]


def space_of(recipe: Recipe, spelled: Mapping[str, Any], values: Mapping[str, Sequence[Value]]) -> Space:
    """The space of some values for fields of a recipe, which `spelled` has in full.

    Raises:
        UserError: if there is no such field or option, or a field decides the model.
    """
    return Space(tuple(Axis(name, _own(recipe, spelled, name), _specs(name, each)) for name, each in values.items()))


def check_searchable(name: str) -> None:
    """Check that a field, or the one of an option, may be searched.

    Raises:
        UserError: if there is no such field, or it does not decide how a model is sampled.
    """
    field = name.partition(".")[0]
    check_field(field)
    if decides(field) != "images":
        raise UserError(
            f"{field} decides {_DECIDED[decides(field)]}, and a search changes only how a trained model is sampled; "
            f"set it with --set, or compare its values with 'mgbench run --vary'"
        )


def _specs(name: str, values: Sequence[Value]) -> tuple[Value, ...]:
    """Values, those that name components as specs."""
    return tuple(
        Spec.parse(value) if isinstance(value, str) and (name in SPECS or "(" in value) else value for value in values
    )


def _own(recipe: Recipe, spelled: Mapping[str, Any], name: str) -> Value:
    """The value of a field, or of an option of its component, with the defaults filled in."""
    field, *path = name.split(".")
    check_searchable(name)
    given = getattr(recipe, field)
    if field not in SPECS:
        value: Value = recipe.drawn_with if field == "sampling_ema" else given
        return value
    if spelled.get(field) is None:
        raise UserError(f"nothing in this recipe asks for a {field.replace('_', ' ')}, so {name} cannot be searched")
    full = Spec.parse(spelled[field])
    return _option(full, path, name) if path else (given or full)


def _option(spec: Spec, path: Sequence[str], name: str) -> Value:
    """The option of a spec that a path leads to."""
    value: Value = spec
    for part in path:
        options = dict(value.options) if isinstance(value, Spec) else {}
        if part not in options:
            raise UserError(f"{name}: {value} has no option {part!r}; write the whole component instead")
        value = options[part]
    return value


_DECIDED = {"tokens": "the tokens", "model": "the model", "scores": "the scores", "nothing": "no result"}
