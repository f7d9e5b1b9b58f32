"""`mgbench plugins`: installed plugins, their kinds, and the reasons of those that do not load."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mgbench.cli.arguments import options
from mgbench.cli.output.as_json import print_json


def plugins(
    as_json: options.Json = False,
    check: Annotated[bool, typer.Option("--check/--no-check", help="Import each plugin and report failures.")] = True,
) -> None:
    """List the installed plugins, their packages and kinds; exits with 1 if one does not load."""
    rows = _checked(_announced()) if check else _announced()
    if as_json:
        print_json(rows)
    else:
        _show(rows)
    if any(row.get("problem") for row in rows):
        raise typer.Exit(1)


def _show(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        typer.echo(f"{row['name']:<12} {row['about']}")
        typer.secho(f"{'':<12} provides {', '.join(row['brings']) or 'nothing'}; from {row['from']}", dim=True)
        for text in (row.get("problem"), row.get("note")):
            if text:
                typer.secho(f"{'':<12} {text}", fg="red")


def _checked(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with the reason why a plugin does not load (`problem`) or a remark on its import time (`note`)."""
    from mgbench.registry.loading import load

    registry = load()
    notes = {
        name: f"takes {seconds:.1f} s to import, at every command; import heavy packages inside the functions that use them"
        for name, seconds in registry.slow.items()
    }
    return [
        {**row, "problem": registry.problems.get(row["name"], ""), "note": notes.get(row["name"], "")} for row in rows
    ]


def _announced() -> list[dict[str, Any]]:
    from importlib.metadata import entry_points

    rows = []
    for entry in sorted(entry_points(group="mgbench"), key=lambda entry: entry.name):
        about, brings = _read(entry.value)
        source = f"{entry.dist.name} {entry.dist.version} ({entry.value})" if entry.dist else entry.value
        rows.append({"name": entry.name, "about": about, "brings": brings, "from": source})
    return rows


def _read(module: str) -> tuple[str, list[str]]:
    """The first line of a module's docstring, and the kinds of its hooks."""
    import ast
    from importlib.util import find_spec

    try:
        spec = find_spec(module)
    except ImportError as error:
        return f"(cannot be found: {error})", []
    if spec is None or not spec.origin or not Path(spec.origin).is_file():
        return "(cannot be found)", []
    try:
        tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    except SyntaxError as error:
        return f"(cannot be read: {error})", []
    hooks = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("mgbench_")]
    about = (ast.get_docstring(tree) or "").partition("\n")[0]
    return about, [hook.removeprefix("mgbench_").replace("_", " ") for hook in hooks]
