"""`mgbench report`: figures, tables and the page, again, from what is stored."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    results: Annotated[Path, typer.Argument(help="A results folder.")] = Path("results"),
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to write the report; it gets a folder of its own there.")
    ] = Path("reports"),
    study: Annotated[str, typer.Option(help="Only the rows of this study (default: everything).")] = "",
    allow_mismatch: Annotated[
        bool, typer.Option(help="Put rows together that were scored under different protocols.")
    ] = False,
    published: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Lay the rows over these published numbers (imagenet-256, …) where the protocol is the same.",
        ),
    ] = "",
) -> None:
    """Write the report of stored results: a page, figures (PNG) and the table (CSV)."""
    from mgbench.report import write_report

    folder = output / (study or "all")
    page = write_report(results, folder, study or None, allow_mismatch=allow_mismatch, published=published or None)
    typer.echo(f"report: {page}")
