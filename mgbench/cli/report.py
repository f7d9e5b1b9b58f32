"""`mgbench report`: figures, tables and the page, again, from what is stored."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mgbench.cli import choices


class Style(StrEnum):
    """Where figures will stand."""

    screen = "screen"
    paper = "paper"


def report(
    results: Annotated[Path, typer.Argument(help="A results folder.")] = Path("results"),
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to write the report; it gets a folder of its own there.")
    ] = Path("reports"),
    study: Annotated[str, typer.Option(help="Only the rows of this study (default: everything).")] = "",
    allow_mismatch: Annotated[
        bool, typer.Option(help="Put rows together that were scored under different protocols.")
    ] = False,
    where: Annotated[
        str, typer.Option(metavar="CONDITION", help="Only these rows, such as 'sampler=halton and nfe<=16'.")
    ] = "",
    by: Annotated[str, typer.Option(metavar="FIELD", help="A panel for each value of a field, such as sampler.")] = "",
    style: Annotated[
        Style, typer.Option(help="How figures are drawn: for a screen, or for a paper's column.")
    ] = Style.screen,
    neighbours: Annotated[bool, typer.Option(help="Put the nearest training images beneath the samples.")] = False,
    pictures: Annotated[
        str, typer.Option(metavar="NAME,…", help="Only these pictures, such as fid-versus-nfe,samples (default: all).")
    ] = "",
    published: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Lay the rows over these published numbers (imagenet-256, …) where the protocol is the same.",
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
        only=choices.names(pictures),
        allow_mismatch=allow_mismatch,
        published=published,
    )
    typer.echo(f"report: {write_all(results, output / (study or 'all'), study or None, wanted)}")
