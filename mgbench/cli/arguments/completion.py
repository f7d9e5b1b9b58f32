"""Shell completion of plugins, methods, studies, components and field values, without heavy imports."""

import io
import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, get_args, get_type_hints

import typer

if TYPE_CHECKING:
    from mgbench.registry.names import Named

# A possible value and its description.
Item = tuple[str, str]
Complete = Callable[[typer.Context, list[str], str], list[Item]]
# The context is None if one completion calls another.
Context = typer.Context | None
INSTRUCTION = "_MGBENCH_COMPLETE"


@contextmanager
def whole_words(environment: "os._Environ[str]") -> Iterator[None]:
    """Context in which completion for bash gets words as typed, although bash splits them at "=".

    Bash splits `--set sampler=hal` into `sampler`, `=` and `hal`, and replaces only the last, so results are returned
    without the part before it.
    """
    kept = _join_words(environment) if environment.get(INSTRUCTION) == "complete_bash" else ""
    if not kept:
        yield
        return
    answers = io.StringIO()
    try:
        with redirect_stdout(answers):
            yield
    finally:
        for line in answers.getvalue().splitlines():
            print(line.removeprefix(kept))


def _join_words(environment: "os._Environ[str]") -> str:
    """Join the words that bash split at "="; returns the text before the last of them."""
    try:
        words, place = environment["COMP_WORDS"].split("\n"), int(environment["COMP_CWORD"])
    except (KeyError, ValueError):
        return ""
    joined: list[str] = []
    kept = ""
    # Words after the cursor are ignored.
    for word in [*words, ""][: place + 1]:
        behind_sign = bool(kept) and joined[-1].endswith("=")
        kept = joined[-1] if behind_sign else joined[-1] + word if word == "=" and joined else ""
        if kept:
            joined[-1] += word
        else:
            joined.append(word)
    environment["COMP_WORDS"] = "\n".join(map(_quoted, joined))
    environment["COMP_CWORD"] = str(len(joined) - 1)
    return kept


def _quoted(word: str) -> str:
    """A word quoted for joining; for an open quotation mark, its text so far."""
    return shlex.quote(word.lstrip("'\"")) if word[:1] in "'\"" else word or "''"


def _starting(items: Iterable[Item], start: str) -> list[Item]:
    """The distinct items that start with a text."""
    return list({value: (value, about) for value, about in items if value.startswith(start)}.values())


def _complete(items: Callable[[Context, str], Iterable[Item]]) -> Complete:
    """A completion of one value, from the context of the command and the text so far."""

    def complete(ctx: typer.Context, args: list[str], incomplete: str) -> list[Item]:
        return _starting(items(ctx, incomplete), incomplete)

    return complete


def _listed(items: Callable[[Context, str], Iterable[Item]]) -> Complete:
    """A completion of the last of comma-separated values, without those already given."""

    def complete(ctx: typer.Context, args: list[str], incomplete: str) -> list[Item]:
        before, comma, _ = incomplete.rpartition(",")
        there = before.split(",")
        found = ((before + comma + value, about) for value, about in items(ctx, incomplete) if value not in there)
        return _starting(found, incomplete)

    return complete


def _plugins(ctx: Context, typed: str) -> Iterator[Item]:
    from mgbench.registry.loading import installed

    yield from ((name, source.distribution) for name, source in installed().items())
    yield "all", "every installed plugin"


def _trackers(ctx: Context, typed: str) -> Iterator[Item]:
    from mgbench.interfaces.tracking import LIFE_HOOKS
    from mgbench.registry.names import plugins_with

    return ((name, "") for name in plugins_with(*LIFE_HOOKS))


def _methods(ctx: Context, typed: str) -> Iterator[Item]:
    from mgbench.registry.names import methods

    return ((method.name, f"method of {method.plugin}") for method in methods())


def _studies(ctx: Context, typed: str) -> Iterator[Item]:
    folder = Path(str((ctx.params if ctx else {}).get("results") or "results")) / "studies"
    return ((path.stem, "study") for path in sorted(folder.glob("[!.]*.json")))


def _kinds(ctx: Context, typed: str) -> Iterator[Item]:
    from mgbench.recipes.kinds import EVERY_KIND

    return ((kind.name, kind.question) for kind in EVERY_KIND.values())


def _of_kind(kind: str) -> Callable[[Context, str], Iterator[Item]]:
    def items(ctx: Context, typed: str) -> Iterator[Item]:
        from mgbench.registry.names import components

        return ((named.name, f"{kind} of {named.plugin}") for named in components(kind))

    return items


def _things(ctx: Context, typed: str) -> Iterator[Item]:
    """Everything that `mgbench show` describes: studies, methods and components."""
    from mgbench.recipes.kinds import EVERY_KIND

    yield from _studies(ctx, typed)
    yield from _methods(ctx, typed)
    for kind in EVERY_KIND.values():
        if not kind.offered_as:
            yield from _of_kind(kind.name)(ctx, typed)


def _studies_and_methods(ctx: Context, typed: str) -> Iterator[Item]:
    yield from _studies(ctx, typed)
    yield from _methods(ctx, typed)


def _settings(ctx: Context, typed: str) -> Iterator[Item]:
    """A field, then its value: components with their options, words, true or false."""
    from mgbench.recipes.recipe import FIELDS, SPECS

    field, equals, value = typed.partition("=")
    if equals:
        before, _, _ = value.rpartition(",") if "(" not in value else ("", "", "")
        yield from ((f"{field}={before}{',' * bool(before)}{found}", about) for found, about in _values(field, value))
    elif "." in field:
        kind, _, _ = field.partition(".")
        yield from ((f"{kind}.{option}=", "option") for option in _all_options(kind))
    else:
        named = [name for name in FIELDS if name.startswith(field)]
        values = list(_values(named[0], "")) if len(named) == 1 else []
        # If only one field fits, its values, because a shell adds a blank after a single result.
        yield from ((f"{named[0]}={value}", about) for value, about in values)
        for name in () if values else named:
            yield f"{name}=", str(FIELDS[name].metadata.get("about", "component" if name in SPECS else ""))


def _values(field: str, typed: str) -> Iterator[Item]:
    from mgbench.recipes.kinds import EVERY_KIND
    from mgbench.registry.names import components

    kind, _, option = field.partition(".")
    kind = {"metrics": "metric"}.get(kind, kind)
    if option:
        yield from ((value, "") for value in _all_options(kind).get(option, ()))
    elif kind in EVERY_KIND and "(" in typed:
        known = {named.name: named for named in components(kind)}
        name, _, inside = typed.partition("(")
        if name in known:
            yield from ((f"{name}({found}", "option") for found in _inside(known[name], inside))
    elif kind in EVERY_KIND:
        yield from _of_kind(kind)(None, typed)
    elif kind == "teacher":
        yield from _methods(None, typed)
    else:
        yield from ((value, "") for value in _words(kind))


def _inside(component: "Named", typed: str) -> Iterator[str]:
    """Completions inside the parentheses of a spec: options, and possible values of the last one."""
    from mgbench.registry.names import option_values

    options = option_values(component)
    before, comma, last = typed.rpartition(",")
    lead = f"{before}{comma}" + re.match(r"\s*", last)[0]  # type: ignore[index]
    option, equals, _ = last.strip().partition("=")
    if equals:
        yield from (f"{lead}{option}={value}" for value in options.get(option, ()))
        return
    given = {part.partition("=")[0].strip() for part in before.split(",")}
    yield from (f"{lead}{name}=" for name in options if name not in given)


def _all_options(kind: str) -> Mapping[str, tuple[str, ...]]:
    """The options of all components of a kind, with possible values."""
    from mgbench.recipes.kinds import EVERY_KIND
    from mgbench.registry.names import components, option_values

    if kind not in EVERY_KIND:
        return {}
    return {name: words for named in components(kind) for name, words in option_values(named).items()}


def _words(field: str) -> tuple[str, ...]:
    """The possible values of a field that is not a component."""
    from mgbench.recipes.recipe import Recipe

    hint = get_type_hints(Recipe).get(field)
    if hint is bool:
        return ("true", "false")
    return tuple(value for value in get_args(hint) if isinstance(value, str))


plugins, trackers, methods = _listed(_plugins), _listed(_trackers), _listed(_methods)
study, method, kind, engine = _complete(_studies), _complete(_methods), _complete(_kinds), _complete(_of_kind("engine"))
thing, study_or_method = _complete(_things), _complete(_studies_and_methods)
settings = _complete(_settings)
dataset, extractor, metrics = (
    _complete(_of_kind("dataset")),
    _complete(_of_kind("extractor")),
    _listed(_of_kind("metric")),
)
