"""`mgbench diff`: what changed from one study to another."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgbench.cli import choices

if TYPE_CHECKING:
    import pandas as pd


def diff(
    before: Annotated[str, typer.Argument(help="A study's name.", show_default=False)],
    after: Annotated[str, typer.Argument(help="Another study's name.", show_default=False)],
    results: choices.Results = Path("results"),
) -> None:
    """Show what changed from one study to another: recipes, and scores by paired differences."""
    from mgbench.report import compare, read_results

    found = compare(read_results(results, before), read_results(results, after))
    typer.echo(f"{before} → {after}: {found.same} row{'s' if found.same != 1 else ''} in both")
    for said, methods in (("only in " + before, found.gone), ("only in " + after, found.new)):
        if methods:
            typer.echo(f"{said}: {', '.join(methods)}")
    if len(found.fields):
        _print("what changed", found.fields.to_dict("records"), ("method", "field", "before", "after"))
    if len(found.scores):
        _print(
            "after − before, paired",
            [_said(row) for row in _rows(found.scores)],
            ("method", "score", "difference", "pairs"),
        )
    elif not len(found.fields) and not found.gone and not found.new:
        typer.echo("nothing changed")


def _rows(scores: "pd.DataFrame") -> list[dict[Any, Any]]:
    rows: list[dict[Any, Any]] = scores.to_dict("records")
    return rows


def _said(row: dict[Any, Any]) -> dict[str, str]:
    from mgbench.report.measures import score_name, with_interval

    sure = row["low"] > 0 or row["high"] < 0
    difference = with_interval(row["mean"], row["low"], row["high"])
    verdict = "" if row["pairs"] < 2 else "" if sure else "  (holds 0)"
    return {
        "method": row["method"],
        "score": score_name(row["metric"]),
        "difference": ("+" if row["mean"] > 0 else "") + difference + verdict,
        "pairs": str(row["pairs"]),
    }


def _print(title: str, rows: list[dict[Any, Any]], columns: tuple[str, ...]) -> None:
    from rich.text import Text

    from mgbench.cli.table import console, plain_table

    table = plain_table(title)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        # As Text, because rich would read the brackets of fid[digits_cnn] as markup.
        table.add_row(*(Text(str(row[column])) for column in columns))
    console().print(table)
