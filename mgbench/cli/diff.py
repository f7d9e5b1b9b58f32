"""`mgbench diff`: what changed from one study to another."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgbench.cli import choices

if TYPE_CHECKING:
    import pandas as pd


def diff(
    before: Annotated[str, typer.Argument(help="A study, or a method.", show_default=False)],
    after: Annotated[str, typer.Argument(help="Another one.", show_default=False)],
    results: choices.Results = Path("results"),
) -> None:
    """Show what changed from one study to another: recipes, and scores by paired differences."""
    from mgbench.cli.recipes import diff_recipes, is_study
    from mgbench.cli.table import console, print_frame
    from mgbench.report import compare, read_results

    if not (is_study(results, before) or is_study(results, after)):
        diff_recipes(before, after)
        return
    found = compare(read_results(results, before), read_results(results, after))
    typer.echo(f"{before} → {after}: {found.same} row{'s' if found.same != 1 else ''} in both")
    for said, methods in (("only in " + before, found.gone), ("only in " + after, found.new)):
        if methods:
            typer.echo(f"{said}: {', '.join(methods)}")
    if len(found.fields):
        print_frame(console(), found.fields, "what changed")
    if len(found.scores):
        print_frame(console(), _said(found.scores), "after − before, paired")
    elif not len(found.fields) and not found.gone and not found.new:
        typer.echo("nothing changed")


def _said(scores: "pd.DataFrame") -> "pd.DataFrame":
    """The differences in words."""
    from mgbench.report.measures import score_name, with_interval

    limits = zip(scores["mean"], scores["low"], scores["high"], strict=True)
    differences = [f"{'+' if mean > 0 else ''}{with_interval(mean, low, high)}" for mean, low, high in limits]
    unsure = (scores["pairs"] > 1) & (scores["low"] <= 0) & (scores["high"] >= 0)
    return scores[["method"]].assign(
        score=scores["metric"].map(score_name),
        difference=differences,
        **{"holds 0": unsure.map({True: "yes", False: ""})},
        pairs=scores["pairs"],
    )
