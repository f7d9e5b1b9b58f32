"""`mgbench diff`: changes between two studies or two methods."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgbench.cli.arguments import completion, options, values
from mgbench.cli.output.terminal import notify
from mgbench.errors import UserError
from mgbench.results.wording import counted

if TYPE_CHECKING:
    import pandas as pd

    from mgbench.report.changes import Comparison


def diff(
    before: Annotated[
        str, typer.Argument(help="A study or a method.", show_default=False, autocompletion=completion.study_or_method)
    ],
    after: Annotated[
        str,
        typer.Argument(help="Another study or method.", show_default=False, autocompletion=completion.study_or_method),
    ],
    results: options.Results = Path("results"),
    plugins: options.AlsoPlugins = None,
    as_json: options.Json = False,
) -> None:
    """Show what changed between two studies (recipes and paired score differences), or how two recipes differ."""
    from mgbench.cli.output.describe import diff_recipes, is_study
    from mgbench.report import compare, read_results

    if before == after:
        raise UserError(f"{before} is given twice; name two different studies or methods")
    if not (is_study(results, before) and is_study(results, after)):
        try:
            diff_recipes(before, after, results, as_json, plugins=values.listed(plugins))
        except UserError:
            # One is a study, and the other is no method: it is meant to be a study too.
            if not (is_study(results, before) or is_study(results, after)):
                raise
        else:
            return
    sides = read_results(results, before), read_results(results, after)
    found = compare(*sides)
    if as_json:
        _print_json(found)
    else:
        _print(found, before, after, sides[1])
    if found.unpaired and not len(found.scores):
        raise typer.Exit(1)


def _print_json(found: "Comparison") -> None:
    from mgbench.cli.output.as_json import print_json

    tables = {"fields": found.fields.to_dict("records"), "scores": found.scores.to_dict("records")}
    print_json({**vars(found), **tables})


def _print(found: "Comparison", before: str, after: str, rows: "pd.DataFrame") -> None:
    typer.echo(f"{before} → {after}: {counted(found.same, 'row')} in both")
    _print_changes(found, before, after, rows)
    for problem, reasons in (("not compared", found.unpaired), ("did not finish", found.unfinished)):
        for method, why in reasons.items():
            notify(f"{method}: {problem}: {why}")


def _print_changes(found: "Comparison", before: str, after: str, rows: "pd.DataFrame") -> None:
    from mgbench.cli.output.table import console, print_frame

    for said, methods in (("only in " + before, found.gone), ("only in " + after, found.new)):
        if methods:
            typer.echo(f"{said}: {', '.join(methods)}")
    if len(found.fields):
        print_frame(console(), found.fields, "changed fields")
    if len(found.scores):
        _print_scores(found, rows)
    elif not len(found.fields) and not found.gone and not found.new:
        typer.echo("nothing changed")


def _print_scores(found: "Comparison", after: "pd.DataFrame") -> None:
    from mgbench.cli.output.table import console, print_frame
    from mgbench.report.measures import images_scored

    images = images_scored(after)
    title = "after − before, paired by seed" + (f" ({images} images)" if images else "")
    print_frame(console(), _said(found.scores, after), title)
    for method, fields in found.averaged.items():
        typer.echo(f"{method}: averaged within each seed over pairs that differ in: {', '.join(fields)}")


def _said(scores: "pd.DataFrame", frame: "pd.DataFrame") -> "pd.DataFrame":
    """The score differences as display text."""
    from mgbench.report.measures import score_name, with_interval

    limits = zip(scores["mean"], scores["low"], scores["high"], strict=True)
    differences = [f"{'+' if mean > 0 else ''}{with_interval(mean, low, high)}" for mean, low, high in limits]
    unsure = (scores["seeds"] > 1) & (scores["low"] <= 0) & (scores["high"] >= 0)
    return scores[["method"]].assign(
        score=[score_name(frame, name) for name in scores["metric"]],
        difference=differences,
        **{"holds 0": unsure.map({True: "yes", False: ""})},
        seeds=scores["seeds"],
        pairs=scores["pairs"],
        **{"without partner": scores["alone"]},
    )
