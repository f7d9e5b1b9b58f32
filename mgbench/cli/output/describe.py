"""Descriptions of methods and components: recipe fields, differences of two recipes, component options."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgbench.errors import UserError, suggestion
from mgbench.results.wording import shown

if TYPE_CHECKING:
    from mgbench.recipes.recipe import Recipe
    from mgbench.registry.registry import Offer, Registry

_SIGNS = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}
_TYPES = {"number": "number", "integer": "whole number", "string": "text", "boolean": "true or false", "null": "none"}


def is_study(results: Path, name: str) -> bool:
    """True if a study of this name is stored."""
    from mgbench.results.layout import Layout

    return Layout(results).study(name).is_file()


def _studies(results: Path) -> list[str]:
    from mgbench.results.layout import Layout

    return [path.stem for path in Layout(results).study("x").parent.glob("*.json")]


def show_recipe(name: str, results: Path, as_json: bool = False, plugins: Sequence[str] = ()) -> None:
    """Print the recipe of a method, or the description and options of a component.

    Raises:
        UserError: if neither has that name; suggests the nearest method, component or study.
    """
    registry = _loaded(plugins, results)
    methods = _methods(registry)
    offers = {kind: registry.names(kind)[name] for kind in registry_kinds() if name in registry.names(kind)}
    if name not in methods and not offers:
        known = {*methods, *_studies(results), *(other for kind in registry_kinds() for other in registry.names(kind))}
        near = (
            suggestion(name, known)
            if "did you mean" in suggestion(name, known)
            else "'mgbench list' shows what there is"
        )
        raise UserError(f"no study in {results}, no method and no component is called {name!r}; {near}")
    if as_json:
        _print_json(registry, name, methods, offers)
        return
    if name in methods:
        _print_method(registry, name, *methods[name])
    for kind, offer in offers.items():
        _print_component(kind, name, offer)
        _print_curve(registry, kind, name)


def diff_recipes(before: str, after: str, results: Path, as_json: bool = False, plugins: Sequence[str] = ()) -> None:
    """Print the fields in which the recipes of two methods differ.

    Raises:
        UserError: if a method does not exist.
    """
    registry = _loaded(plugins, results)
    one, other = (_spelled(registry, _method(registry, name, results)) for name in (before, after))
    differing = {field: (one[field], other[field]) for field in one if one[field] != other[field]}
    if as_json:
        from mgbench.cli.output.as_json import print_json

        print_json({field: {before: values[0], after: values[1]} for field, values in differing.items()})
        return
    rows = [(field, *map(shown, values)) for field, values in differing.items()]
    _table(f"{before} and {after}: {len(rows)} of {len(one)} fields differ", ("field", before, after), rows)


def registry_kinds() -> tuple[str, ...]:
    """Every kind with components of its own; kinds that share components appear once."""
    from mgbench.registry.registry import HOOKS

    first: dict[str, str] = {}
    for kind, hook in HOOKS.items():
        first.setdefault(hook, kind)
    return tuple(first.values())


def _loaded(plugins: Sequence[str], results: Path) -> "Registry":
    from mgbench.registry.imported import load_with_imported
    from mgbench.results.layout import Layout

    return load_with_imported(plugins, Layout(results))


def _methods(registry: "Registry") -> dict[str, tuple[str, "Recipe"]]:
    """The plugin and the recipe of every method."""
    return {name: (plugin, recipe) for plugin, found in registry.recipes.items() for name, recipe in found.items()}


def _method(registry: "Registry", name: str, results: Path) -> "Recipe":
    methods = _methods(registry)
    if name not in methods:
        meant = suggestion(name, {*methods, *_studies(results)})
        raise UserError(f"no method is called {name!r}, and no study in {results}; {meant}")
    return methods[name][1]


def _spelled(registry: "Registry", recipe: "Recipe") -> dict[str, Any]:
    """Every field spelled out with component defaults; as written in the recipe if its data are missing."""
    from mgbench.registry.resolve import assemble

    try:
        return assemble(registry, recipe).spelled
    except UserError:
        spelled: dict[str, Any] = recipe.spelled()
        return spelled


def _print_method(registry: "Registry", name: str, plugin: str, recipe: "Recipe") -> None:
    from mgbench.recipes.recipe import FIELDS, decides

    usual = {field for field in FIELDS if getattr(recipe, field) == FIELDS[field].default}
    rows = [
        (field, shown(value), "" if field in usual else "set", decides(field))
        for field, value in _spelled(registry, recipe).items()
        if value is not None
    ]
    _table(f"method {name}, of the plugin {plugin}", ("field", "value", "by the recipe", "decides"), rows)


def _print_component(kind: str, name: str, offer: "Offer") -> None:
    import inspect

    import typer

    from mgbench.interfaces.bibtex import papers
    from mgbench.registry.citations import source_of

    typer.secho(f"{kind} {name}", bold=True, nl=False)
    typer.echo(f"  of the plugin {offer.plugin}")
    typer.echo(inspect.cleandoc(offer.maker.__doc__ or ""))
    named = papers(source_of(offer.maker))
    if named:
        typer.echo(f"papers: {', '.join(f'arXiv:{paper}' for paper in named)}")
    rows = [
        (option["name"], in_words(option["type"]), shown(option["default"]) if "default" in option else "(needed)")
        for option in options(offer.maker)
    ]
    if rows:
        _table("", ("option", "takes", "default"), rows)


def _print_curve(registry: "Registry", kind: str, name: str) -> None:
    """Print the picture of a schedule with its default options; nothing where an option has no default."""
    import typer

    from mgbench.cli.output.curves import curve
    from mgbench.recipes.spec import Spec

    try:
        component = registry.build(kind, Spec(name))
    except UserError:
        return
    drawn = curve(kind, component)
    if drawn:
        typer.echo(drawn)


def _print_json(
    registry: "Registry", name: str, methods: Mapping[str, tuple[str, Any]], offers: Mapping[str, "Offer"]
) -> None:
    from mgbench.cli.output.as_json import print_json

    found: dict[str, Any] = {"components": [component(kind, name, offer) for kind, offer in offers.items()]}
    if name in methods:
        plugin, recipe = methods[name]
        found["method"] = {"name": name, "plugin": plugin, "recipe": _spelled(registry, recipe)}
    print_json(found)


def component(kind: str, name: str, offer: "Offer") -> dict[str, Any]:
    """The description of a component as plain values."""
    from mgbench.interfaces.bibtex import papers
    from mgbench.interfaces.optional import other_names
    from mgbench.registry.citations import source_of

    return {
        "kind": kind,
        "name": name,
        "plugin": offer.plugin,
        "about": " ".join((offer.maker.__doc__ or "").split("\n\n")[0].split()),
        "papers": list(papers(source_of(offer.maker))),
        "known_as": list(other_names(offer.maker)),
        "options": options(offer.maker),
    }


def options(maker: type) -> list[dict[str, Any]]:
    """Every option of a component with its type (JSON Schema, or a kind) and its default."""
    from pydantic import TypeAdapter

    from mgbench.recipes.spec import defaults, hints, part_kind

    usual, found = defaults(maker), []
    for name, hint in hints(maker).items():
        inner = part_kind(hint)
        kind = {"component": inner} if inner else TypeAdapter(hint).json_schema()
        default = {"default": str(usual[name]) if inner else usual[name]} if name in usual else {}
        found.append({"name": name, "type": kind, **default})
    return found


def in_words(schema: Mapping[str, Any]) -> str:
    """A type and its range in readable form: `number > 0`, `one of ceil, floor`."""
    if "component" in schema:
        return f"a {schema['component']}"
    if "enum" in schema or "const" in schema:
        return f"one of {', '.join(map(str, schema.get('enum', [schema.get('const')])))}"
    if "anyOf" in schema:
        return " or ".join(map(in_words, schema["anyOf"]))
    if schema.get("type") == "array":
        inner = schema.get("items") or (schema.get("prefixItems") or [{}])[0]
        return f"a list of: {in_words(inner)}"
    limits = [f"{sign} {schema[name]:g}" for name, sign in _SIGNS.items() if name in schema]
    return " ".join([_TYPES.get(str(schema.get("type")), "anything"), " and ".join(limits)]).strip()


def _table(title: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    from rich.text import Text

    from mgbench.cli.output.table import console, plain_table

    table = plain_table(title)
    for head in heads:
        table.add_column(head, overflow="fold", no_wrap=head == heads[0])
    for row in rows:
        table.add_row(*map(Text, row))
    console().print(table)
