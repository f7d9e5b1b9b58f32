"""`mgbench report`: figures, tables and the page of stored results."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mgbench.cli.arguments import completion, options, values
from mgbench.machine import cores


class Style(StrEnum):
    """Medium of the figures."""

    screen = "screen"
    paper = "paper"


def report(
    results: Annotated[Path, typer.Argument(help="A results folder.")] = Path("results"),
    output: Annotated[Path, typer.Option("--output", "-o", help="Output folder; the report gets a subfolder.")] = Path(
        "reports"
    ),
    study: Annotated[
        str, typer.Option(help="Only the rows of this study (default: all).", autocompletion=completion.study)
    ] = "",
    allow_mismatch: Annotated[
        bool, typer.Option(help="Combine rows that were scored under different protocols.")
    ] = False,
    where: options.Where = "",
    by: Annotated[
        str, typer.Option(metavar="FIELD", help="One panel for each value of this field, such as sampler.")
    ] = "",
    style: Annotated[Style, typer.Option(help="Figure style: for a screen, or for a paper's column.")] = Style.screen,
    neighbours: Annotated[bool, typer.Option(help="Show the nearest training images below the samples.")] = False,
    pictures: Annotated[
        str, typer.Option(metavar="NAME,…", help="Only these figures, such as fid-versus-nfe,samples (default: all).")
    ] = "",
    published: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Add these published numbers (imagenet-256, …) to the figure if the protocol is the same.",
        ),
    ] = "",
) -> None:
    """Write the report of stored results: a page, figures (PNG, SVG, PDF), sheets, and tables (CSV, Markdown, LaTeX)."""
    from mgbench.report import Choices, write_all

    wanted = Choices(
        where=where,
        by=by,
        paper=style is Style.paper,
        neighbours=neighbours,
        only=values.names(pictures),
        allow_mismatch=allow_mismatch,
        published=published,
    )
    typer.echo(f"report: {write_all(results, output / (study or 'all'), study or None, wanted, cores())}")
