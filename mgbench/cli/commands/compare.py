"""`mgbench compare`: paired differences and p-values between two methods or two studies."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgbench.cli.arguments import completion, options
from mgbench.cli.output.as_json import print_json
from mgbench.cli.output.terminal import notify
from mgbench.errors import UserError, suggestion

if TYPE_CHECKING:
    import pandas as pd


def compare(
    before: Annotated[
        str,
        typer.Argument(
            metavar="A", help="A method, or a study.", show_default=False, autocompletion=completion.study_or_method
        ),
    ],
    after: Annotated[
        str,
        typer.Argument(
            metavar="B", help="Another method, or study.", show_default=False, autocompletion=completion.study_or_method
        ),
    ],
    study: Annotated[
        str,
        typer.Option(help="Study that holds both methods (default: all stored rows).", autocompletion=completion.study),
    ] = "",
    where: options.Where = "",
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LIMIT",
            help="Exit with 1 if a score moves beyond this limit or rows are missing: 'fid:+5%', 'accuracy:-0.01'.",
        ),
    ] = None,
    results: options.Results = Path("results"),
    as_json: options.Json = False,
) -> None:
    """Compare B with A, paired by seed: difference, 95 % interval and p-value (Holm-corrected over all comparisons)."""
    from mgbench.report.significance import Limit, gaps, paired_test

    if before == after:
        raise UserError(f"{before} is given twice; name two different methods, series or studies")
    limits = [Limit.parse(text) for text in fail_on or ()]
    sides, by = _sides(before, after, study, where, results)
    table, missing = paired_test(*sides, by), gaps(*sides, by, (before, after))
    if table.empty:
        why = f" ({'; '.join(missing)})" if missing else ""
        raise UserError(f"{before} and {after} have no finished rows of the same steps and seed to compare{why}")
    notify(*missing)
    if as_json:
        print_json({"pairs": table.to_dict("records"), "averaged": table.attrs["averaged"], "missing": missing})
    else:
        _print(table, by, sides[0])
    failed = [(text, limit.exceeded(table)) for text, limit in zip(fail_on or (), limits, strict=True)]
    for text, rows in failed:
        for row in rows.to_dict("records"):
            typer.secho(f"{text} is exceeded: {_place(row, by)}: {_moved(row, table)}", fg="red", err=True)
    if limits and missing:
        typer.secho("not all rows could be compared, so --fail-on fails", fg="red", err=True)
    if any(len(rows) for _, rows in failed) or (limits and missing):
        raise typer.Exit(1)


def _sides(
    before: str, after: str, study: str, where: str, results: Path
) -> "tuple[tuple[pd.DataFrame, pd.DataFrame], tuple[str, ...]]":
    """The rows of both sides, and the columns (besides the seed) by which they are paired.

    Raises:
        UserError: if a name is neither a method nor a study.
    """
    from mgbench.report import read_results
    from mgbench.report.where import select
    from mgbench.results.layout import Layout

    studies = {path.stem for path in Layout(results).study("x").parent.glob("*.json")}
    if not study and {before, after} <= studies:
        return (_selected(results, before, where), _selected(results, after, where)), ("series", "sampling_steps")
    frame = select(read_results(results, study or None), where)
    known = set(frame["method"]) | set(frame["series"])
    for name, other in ((before, after), (after, before)):
        if name not in known:
            raise UserError(_unknown(name, other, frame, studies))
    first, second = (frame[(frame["method"] == name) | (frame["series"] == name)] for name in (before, after))
    return (first, second), () if _of_one_budget(first, second) else ("sampling_steps",)


def _of_one_budget(first: "pd.DataFrame", second: "pd.DataFrame") -> bool:
    """Whether each side has one number of steps and these differ, so that they are paired by seed alone."""
    from mgbench.report.frame import of_images

    steps = [set(of_images(side)["sampling_steps"].dropna()) for side in (first, second)]
    return all(len(part) == 1 for part in steps) and not steps[0] & steps[1]


def _unknown(name: str, other: str, frame: "pd.DataFrame", studies: set[str]) -> str:
    """The sentence on a side that is no method, with what it may be instead."""
    from mgbench.report.frame import ABOUT, TOKENIZER

    models = frame[frame[ABOUT] != TOKENIZER]
    methods = {*models["method"], *models["series"]}
    if name in studies and other in methods:
        return f"{name!r} is a study, and the other side is none; name two studies, or two methods with --study {name}"
    unknown = other if name in studies else name
    known = studies if name in studies or other in studies else methods
    return f"{unknown!r} is neither a study nor a method that is stored; {suggestion(unknown, known)}"


def _selected(results: Path, study: str, where: str) -> "pd.DataFrame":
    from mgbench.report import read_results
    from mgbench.report.where import select

    return select(read_results(results, study), where)


def _print(table: "pd.DataFrame", by: tuple[str, ...], frame: "pd.DataFrame") -> None:
    import pandas as pd

    from mgbench.cli.output.table import console, print_frame
    from mgbench.report.measures import images_scored, number, score_name, with_interval

    shown = pd.DataFrame({name.replace("_", " "): table[name].map(_shown) for name in by})
    limits = zip(table["difference"], table["low"], table["high"], strict=True)
    shown = shown.assign(
        score=[score_name(table, name) for name in table["metric"]],
        A=table["before"].map(number),
        B=table["after"].map(number),
        difference=[with_interval(*values) for values in limits],
        **{"p (Holm)": table["p_adjusted"].map(number)},
        seeds=table["seeds"],
    )
    images = images_scored(frame)
    print_frame(console(), shown, "B − A, paired by seed" + (f" ({images} images)" if images else ""))
    if not by:
        typer.echo("paired by seed alone: each side has one number of steps, and these differ")
    if table.attrs["averaged"]:
        typer.echo(f"averaged within each seed over pairs that differ in:  {', '.join(table.attrs['averaged'])}")
    if (table["seeds"] < 2).any():
        typer.echo("a single seed gives no interval and no p-value; run both with --seeds 0,1,2 or more")


def _shown(value: str | float | None) -> str:
    import pandas as pd

    return "–" if pd.isna(value) else str(value)


def _place(row: dict[Any, Any], by: tuple[str, ...]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_shown(row[name])}" for name in by)


def _moved(row: dict[Any, Any], table: "pd.DataFrame") -> str:
    from mgbench.report.measures import briefly, score_name

    return f"{score_name(table, row['metric'])} went from {briefly(row['before'])} to {briefly(row['after'])}"
