"""Options of the commands, from the command line itself."""

import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import typer

from mgbench.cli.app import app
from scripts.site.text import code, table

_TAKES = {Path: "PATH", str: "TEXT", int: "NUMBER", float: "NUMBER"}
_MARK = re.compile(r"<!-- options of ([\w-]+) -->")


def group() -> dict[str, Any]:
    """Every command by its name."""
    found: Any = typer.main.get_command(app)
    return dict(found.commands)


def filled(markdown: str) -> str:
    """A page with a table of options in place of every mark."""
    return _MARK.sub(lambda found: options(found[1]), markdown)


def options(name: str) -> str:
    """The arguments and options of a command as a table."""
    rows = list(_rows(group()[name]))
    if not rows:
        return "It takes no options.\n"
    made = table(("option", "takes", "default", ""), rows)
    return f'<div class="options" markdown>\n\n{made}\n</div>\n'


def _rows(command: Any) -> Iterator[tuple[str, str, str, str]]:
    for param in command.params:
        argument = param.param_type_name == "argument"
        names = ", ".join(f"`{name}`" for name in (*param.opts, *param.secondary_opts))
        shown = f"`{param.metavar or param.name.upper()}`" if argument else names
        takes = "" if argument or param.is_flag else code(param.metavar or _taken(param))
        yield shown.replace("|", "\\|"), takes, _default(param), _escaped(param.help or "")


def _taken(param: Any) -> str:
    kind = param.type_descriptor.annotation
    return "|".join(kind) if issubclass(kind, Enum) else _TAKES[kind]


def _default(param: Any) -> str:
    if param.required:
        return "needed"
    plain = isinstance(param.default, bool) or param.default in (None, "", 0.0)
    return f"`{param.default}`" if getattr(param, "show_default", True) and not plain else ""


def _escaped(text: str) -> str:
    return re.sub(r"([|*<>_])", r"\\\1", text)
