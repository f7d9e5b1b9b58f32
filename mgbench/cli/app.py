"""The `mgbench` application: all commands and `--version`."""

from importlib import import_module
from typing import Annotated

import typer

import mgbench
from mgbench.cli.command import Command, Group

# In the order of `mgbench --help`: each is a file of `commands/`, and the function of its name.
COMMANDS = (
    *("run", "sample", "plan", "speed", "tune", "prepare", "encode"),
    *("report", "published", "list_", "show", "status", "diff", "compare", "evaluate"),
    *("import_", "export", "results", "merge", "doctor"),
    *("cite", "plugins", "new_plugin", "check", "guide"),
)

app = typer.Typer(
    name="mgbench",
    cls=Group,
    help="Compare masked image generation models: train, sample, evaluate and report every combination of components.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for name in COMMANDS:
    command = getattr(import_module(f"mgbench.cli.commands.{name}"), name)
    app.command(name.strip("_").replace("_", "-"), cls=Command)(command)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"mgbench {mgbench.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    return
