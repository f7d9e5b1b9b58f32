"""`mgbench plugins`: which plugins there are and what they bring, read without importing them."""

import json as json_module
from pathlib import Path
from typing import Annotated, Any

import typer


def plugins(
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Import each of them as well, and say what fails.")] = False,
) -> None:
    """List the plugins that are installed, where they come from and which kinds they bring."""
    rows = _announced()
    if check:
        from mgbench.registry.loading import load

        problems = load().problems
        rows = [{**row, "problem": problems.get(row["name"], "")} for row in rows]
    if json:
        typer.echo(json_module.dumps(rows, indent=1))
        return
    for row in rows:
        typer.echo(f"{row['name']:<12} {row['about']}")
        typer.secho(f"{'':<12} brings {', '.join(row['brings']) or 'nothing'}; from {row['from']}", dim=True)
        if row.get("problem"):
            typer.secho(f"{'':<12} {row['problem']}", fg="red")
    if any(row.get("problem") for row in rows):
        raise typer.Exit(1)


def _announced() -> list[dict[str, Any]]:
    from importlib.metadata import entry_points

    rows = []
    for entry in sorted(entry_points(group="mgbench"), key=lambda entry: entry.name):
        about, brings = _read(entry.value)
        source = f"{entry.dist.name} {entry.dist.version} ({entry.value})" if entry.dist else entry.value
        rows.append({"name": entry.name, "about": about, "brings": brings, "from": source})
    return rows


def _read(module: str) -> tuple[str, list[str]]:
    """The first line of a module's docstring and the kinds whose hooks it has."""
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
