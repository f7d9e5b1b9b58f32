"""Specs: components written as text, `exp(rate=5.0)`, the same in recipes, on the command line, in results and in
legends.
"""

import dataclasses
import keyword
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le
from pydantic import AllowInfNan, TypeAdapter, ValidationError

from mgbench.errors import UserError, suggestion
from mgbench.recipes.grammar import WORDS, read_values

T = TypeVar("T")
Value = Any  # bool, int, float, str, None, a Spec, or a tuple of these

# Types with ranges, for options.
Positive = Annotated[float, Gt(0), AllowInfNan(False)]
NotNegative = Annotated[float, Ge(0), AllowInfNan(False)]
Share = Annotated[float, Ge(0), Le(1)]
Count = Annotated[int, Gt(0)]
Index = Annotated[int, Ge(0)]


@dataclass(frozen=True)
class Part:
    """Marks an option that is itself a component: `inner: Annotated[GuidanceSchedule, Part("guidance_schedule")]`."""

    kind: str


@dataclass(frozen=True)
class Spec:
    """A name with options, not yet resolved: `Spec("exp", options=(("rate", 5.0),))` is written `exp(rate=5.0)`."""

    name: str
    args: tuple[Any, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return self._spelled

    @cached_property
    def _spelled(self) -> str:
        given = [spelled(value) for value in self.args]
        given += [f"{name}={spelled(value)}" for name, value in self.options]
        return f"{self.name}({', '.join(given)})" if given else self.name

    def keeping(self, other: "Spec") -> "Spec":
        """This spec, completed with the options of another spec of the same component.

        If one of the two has positional and the other named options, only the component could match them, and this spec
        stays unchanged.
        """
        if self.name != other.name or (self.args and other.options) or (other.args and self.options):
            return self
        options = {**dict(other.options), **dict(self.options)}
        return Spec(self.name, self.args + other.args[len(self.args) :], tuple(options.items()))

    def with_option(self, path: tuple[str, ...], value: object) -> "Spec":
        """This spec with one option replaced; a longer path leads into components among the options.

        Raises:
            UserError: if options are positional, or the path leads into an option that is not set.
        """
        name, *rest = path
        if self.args:
            raise UserError(f"{self} gives options by their place; give them by name, so that {name} can be changed")
        options = dict(self.options)
        if rest:
            if not isinstance(options.get(name), str | Spec):
                raise UserError(f"{self} does not say which component {name} is; set {name} itself first")
            value = Spec.parse(options[name]).with_option(tuple(rest), value)
        return Spec(self.name, (), tuple({**options, name: value}.items()))

    @classmethod
    def parse(cls, text: "str | Spec") -> "Spec":
        """Parse `name` or `name(value, option=value, …)`.

        Raises:
            UserError: if the text has another form.
        """
        if isinstance(text, Spec):
            return text
        value = _parsed(text) if isinstance(text, str) else text
        if isinstance(value, Spec):
            return value
        if isinstance(value, str):
            return cls(value)
        raise UserError(f"{text!r} is not a spec: write a name, or name(option=value, …)")


def option_at(value: Value, path: Sequence[str]) -> Value:
    """The option of a spec at a path through the components among its options; None if it is not set."""
    for name in path:
        value = dict(Spec.parse(value).options).get(name) if isinstance(value, str | Spec) else None
    return value


def parse_value(text: str) -> Value:
    """Read one value: a number, a word, a list, or a component with options.

    Raises:
        UserError: if the text is not one value.
    """
    values = parse_values(text)
    if len(values) != 1:
        raise UserError(f"{text!r} is not one value: write a number, a word, or name(option=value, …)")
    return values[0]


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Value:
    return parse_value(text)


def parse_values(text: str) -> tuple[Value, ...]:
    """Read values separated by top-level commas.

    Raises:
        UserError: if the text cannot be read.
    """
    try:
        return read_values(text, Spec)
    except (SyntaxError, ValueError):
        raise UserError(
            f"cannot read {text!r}: write values such as 0.5, cosine, /data/x or exp(rate=5.0), and text with commas, "
            "brackets or quotation marks in quotation marks"
        ) from None


def parse_list(text: str) -> tuple[Value, ...]:
    """Read values separated by commas, with or without surrounding brackets: `fid,kid` is `[fid, kid]`.

    Raises:
        UserError: if the text cannot be read.
    """
    values = parse_values(text)
    return values[0] if len(values) == 1 and isinstance(values[0], tuple) else values


def spelled(value: Value) -> str:
    """The text of a value in a spec."""
    if isinstance(value, tuple):
        return f"[{', '.join(spelled(item) for item in value)}]"
    if isinstance(value, str) and value.isidentifier() and not keyword.iskeyword(value) and value not in WORDS:
        return value
    return str(value) if isinstance(value, Spec) else repr(value)


@cache
def hints(maker: type) -> Mapping[str, Any]:
    """The options of a component and their types, in order, from its dataclass fields."""
    types = get_type_hints(maker, include_extras=True)
    return {field.name: types[field.name] for field in dataclasses.fields(maker) if field.init}


def defaults(maker: type) -> dict[str, Any]:
    """The default of every option that has one."""
    found = {}
    for field in dataclasses.fields(maker):
        if field.init and field.default is not dataclasses.MISSING:
            found[field.name] = field.default
        elif field.init and field.default_factory is not dataclasses.MISSING:
            found[field.name] = field.default_factory()
    return found


def part_kind(hint: object) -> str | None:
    """The kind of an option that is a component; None for a plain value."""
    marks = [mark for mark in get_args(hint)[1:] if isinstance(mark, Part)] if get_origin(hint) is Annotated else []
    return marks[0].kind if marks else None


def bind(maker: type, spec: Spec) -> dict[str, Value]:
    """Match every argument of `spec` with an option.

    Raises:
        UserError: if an option does not exist or is set twice, or there are too many.
    """
    names = list(hints(maker))
    if len(spec.args) > len(names):
        raise UserError(f"{spec}: {spec.name} takes at most {len(names)} options, {', '.join(names) or 'none'}")
    given = list(zip(names, spec.args, strict=False)) + [
        (_current(maker, spec, name), value) for name, value in spec.options
    ]
    for name, _ in given:
        if name not in names:
            raise UserError(f"{spec}: {spec.name} has no option {name!r}; {suggestion(name, names)}")
    if len(dict(given)) < len(given):
        raise UserError(f"{spec}: an option is given twice")
    return dict(given)


def _current(maker: type, spec: Spec, name: str) -> str:
    """The present name of an option; a former name (`former_options` of the maker) is accepted for one version."""
    renamed: Mapping[str, str] = getattr(maker, "former_options", {})
    if name not in renamed:
        return name
    warnings.warn(f"{spec}: the option {name!r} is now called {renamed[name]!r}", FutureWarning, stacklevel=2)
    return renamed[name]


# Any here and below: a type hint is any object, and what pydantic checks it by is typed by the hint.
def checked(hint: Any, value: object, where: str) -> Any:
    """Check one value against a type with its range; the only conversion is from int to float.

    Raises:
        UserError: with the option (`where`), the value and the accepted values.
    """
    try:
        return _adapter(hint).validate_python(value, strict=True)
    except ValidationError as error:
        reasons = " or ".join(dict.fromkeys(item["msg"].removeprefix("Input should be ") for item in error.errors()))
        shown = value if isinstance(value, Spec) else repr(value)
        raise UserError(f"{where} is {shown}, and should be {reasons}") from None


# Any: as above.
@cache
def _cached_adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint)


# Any: as above.
def _adapter(hint: Any) -> TypeAdapter[Any]:
    """The validator of a type, cached for hashable types."""
    try:
        return _cached_adapter(hint)
    except TypeError:
        return TypeAdapter(hint)


def make(maker: type[T], options: Mapping[str, Any], where: str) -> T:
    """Build a component from checked options.

    Raises:
        UserError: if an option is missing, or the component refuses the combination.
    """
    known: type = maker
    missing = [name for name in hints(known) if name not in options and name not in defaults(known)]
    if missing:
        raise UserError(f"{where}: needs {', '.join(missing)}")
    try:
        return maker(**options)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None
