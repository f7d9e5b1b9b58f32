"""`mgbench list`: the components there are, with their options."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mgbench.registry import Registry


def list_(
    kind: Annotated[str, typer.Argument(help="One kind only, such as mask_schedule.", show_default=False)] = "",
    plugins: Annotated[str, typer.Option(help="Also those of these plugin files or modules.")] = "",
) -> None:
    """List kinds, and the components that answer each, with their options and defaults."""
    from mgbench.cli.choices import _names
    from mgbench.errors import UserError, suggestion
    from mgbench.plugins import find, load
    from mgbench.recipe import KINDS

    known = {
        **{name: item.question for name, item in KINDS.items()},
        "metric": "how far are the images from the real ones?",
    }
    if kind and kind not in known:
        raise UserError(f"no kind is called {kind!r}; {suggestion(kind, known)}")
    registry = load([find(name) for name in _names(plugins)])
    for name, question in known.items():
        if kind in ("", name):
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


def _spelling(name: str, maker: Any) -> str:
    from mgbench.spec import hints

    options = [f"{option}={getattr(maker, option)}" if hasattr(maker, option) else option for option in hints(maker)]
    return f"{name}({', '.join(options)})" if options else name
