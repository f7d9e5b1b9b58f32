"""`mgbench list`: available components and their options."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgbench.cli.arguments import completion, options, values

if TYPE_CHECKING:
    from mgbench.recipes.recipe import Recipe
    from mgbench.registry.registry import Registry


def list_(
    kind: Annotated[
        str,
        typer.Argument(
            help="Only this kind, such as mask_schedule.", show_default=False, autocompletion=completion.kind
        ),
    ] = "",
    plugins: options.AlsoPlugins = None,
    results: options.Results = Path("results"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with option types (JSON Schema) and papers.")
    ] = False,
) -> None:
    """List the kinds and the components of each, with options and defaults."""
    from mgbench.errors import UserError, suggestion
    from mgbench.recipes.kinds import EVERY_KIND
    from mgbench.registry.imported import load_with_imported
    from mgbench.results.layout import Layout

    known = {name: item.question for name, item in EVERY_KIND.items()}
    if kind and kind not in known:
        raise UserError(f"no kind is called {kind!r}; {suggestion(kind, known)}")
    registry = load_with_imported(values.listed(plugins), Layout(results))
    shown = {name: question for name, question in known.items() if kind in ("", name)}
    if as_json:
        _print_json(registry, shown, methods=not kind)
        return
    for name, question in shown.items():
        typer.secho(f"{name}", bold=True, nl=False)
        typer.echo(f"  {question}")
        _list_kind(registry, name, doc=bool(kind))
    if not kind:
        methods = ", ".join(method for recipes in registry.recipes.values() for method in recipes)
        typer.echo(f"\nmethods (whole recipes): {methods}")


def _list_kind(registry: "Registry", kind: str, doc: bool) -> None:
    for name, offer in sorted(registry.names(kind).items()):
        typer.echo(f"  {_spelling(name, offer.maker)}  ", nl=False)
        typer.secho(f"[{offer.plugin}]", dim=True)
        if doc:
            typer.secho("    " + " ".join((offer.maker.__doc__ or "").split()), dim=True)


def _spelling(name: str, maker: type) -> str:
    from mgbench.recipes.spec import hints

    options = [f"{option}={getattr(maker, option)}" if hasattr(maker, option) else option for option in hints(maker)]
    return f"{name}({', '.join(options)})" if options else name


def _print_json(registry: "Registry", kinds: dict[str, str], methods: bool) -> None:
    from mgbench.cli.output.as_json import print_json
    from mgbench.cli.output.describe import component

    content: dict[str, Any] = {
        "kinds": kinds,
        "components": [
            component(kind, name, offer) for kind in kinds for name, offer in sorted(registry.names(kind).items())
        ],
    }
    if methods:
        found = [(plugin, *item) for plugin, recipes in registry.recipes.items() for item in recipes.items()]
        content["methods"] = [_method(registry, *item) for item in found]
    print_json(content)


def _method(registry: "Registry", plugin: str, name: str, recipe: "Recipe") -> dict[str, Any]:
    """A method with the fields that its recipe sets."""
    from mgbench.interfaces.bibtex import papers
    from mgbench.recipes.recipe import FIELDS

    plain = recipe.spelled()
    changed = {field: plain[field] for field in FIELDS if getattr(recipe, field) != FIELDS[field].default}
    named = list(papers(registry.docstrings[plugin]))
    return {"name": name, "plugin": plugin, "papers": named, "recipe": changed}
