"""`mgbench show`: the table of a study in the terminal."""

from pathlib import Path
from typing import Annotated

import typer

from mgbench.cli import choices


def show(
    study: Annotated[str, typer.Argument(help="A study's name (default: everything stored).", show_default=False)] = "",
    results: choices.Results = Path("results"),
) -> None:
    """Show stored results as a table."""
    from mgbench.cli.table import print_table

    print_table(results, study or None)
