"""`mgbench show`: a table of results with a small plot, or the description of a method or component."""

from pathlib import Path
from typing import Annotated

import typer

from mgbench.cli.arguments import completion, options, values
from mgbench.cli.output.as_json import print_json


def show(
    study: Annotated[
        str,
        typer.Argument(
            help="A study, a method or a component (default: all stored rows).",
            show_default=False,
            autocompletion=completion.thing,
        ),
    ] = "",
    results: options.Results = Path("results"),
    plugins: options.AlsoPlugins = None,
    where: options.Where = "",
    scores: Annotated[
        str,
        typer.Option(metavar="NAME,…", help="Only these scores, such as fid,kid (default: as many as fit the screen)."),
    ] = "",
    everything: Annotated[bool, typer.Option("--all", help="All scores, in several tables if necessary.")] = False,
    recipe: Annotated[
        bool, typer.Option("--recipe", help="Show the method or component even if a study has the same name.")
    ] = False,
    plot: Annotated[bool, typer.Option(help="Plot the first score against network forwards.")] = True,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: rows with every column, and verdicts on claims.")
    ] = False,
) -> None:
    """Show stored results as a table with a small plot, or describe a method or component."""
    from mgbench.cli.output.describe import is_study, show_recipe
    from mgbench.cli.output.table import print_table
    from mgbench.cli.output.verdicts import print_verdicts, verdict_values
    from mgbench.report import read_results, text_plot

    if recipe or (study and not is_study(results, study)):
        show_recipe(study, results, as_json, plugins=values.listed(plugins))
        return
    frame = read_results(results, study or None, where)
    if as_json:
        claims = [] if where or not study else verdict_values(results, study)
        print_json({"rows": frame.to_dict("records"), "claims": claims})
        return
    print_table(frame, scores=values.names(scores), everything=everything)
    if study and not where:
        print_verdicts(results, study)
    drawn = text_plot(frame) if plot else ""
    if drawn:
        typer.echo(f"\n{drawn}")
