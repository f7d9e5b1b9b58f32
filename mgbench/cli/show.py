"""`mgbench show`: the table of a study, and a small plot, in the terminal."""

from pathlib import Path
from typing import Annotated

import typer

from mgbench.cli import choices
from mgbench.cli.as_json import print_json


def show(
    study: Annotated[
        str, typer.Argument(help="A study, a method or a component (default: all that is stored).", show_default=False)
    ] = "",
    results: choices.Results = Path("results"),
    plugins: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,…", help="Also methods and components of these files or modules.", show_default=False
        ),
    ] = None,
    where: Annotated[
        str, typer.Option(metavar="CONDITION", help="Only these rows, such as 'sampler=halton and nfe<=16'.")
    ] = "",
    scores: Annotated[
        str, typer.Option(metavar="NAME,…", help="Only these scores, such as fid,kid (default: as many as fit).")
    ] = "",
    everything: Annotated[bool, typer.Option("--all", help="All scores, in as many tables as it takes.")] = False,
    recipe: Annotated[
        bool, typer.Option("--recipe", help="Show a method or component, also where a study has its name.")
    ] = False,
    plot: Annotated[bool, typer.Option(help="Also draw the first score against the network forwards.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON: of rows every column.")] = False,
) -> None:
    """Show stored results as a table, and how the first score falls with the network forwards."""
    from mgbench.cli.recipes import is_study, show_recipe
    from mgbench.cli.table import print_table
    from mgbench.report import read_results, text_plot

    if recipe or (study and not is_study(results, study)):
        show_recipe(study, results, as_json, plugins=choices.listed(plugins))
        return
    frame = read_results(results, study or None, where)
    if as_json:
        print_json(frame.to_dict("records"))
        return
    print_table(frame, scores=choices.names(scores), everything=everything)
    drawn = text_plot(frame) if plot else ""
    if drawn:
        typer.echo(f"\n{drawn}")
