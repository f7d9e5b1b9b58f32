"""Outputs of `mgbench tune`: its plan, a line for each recipe, and the outcome."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mgbench.cli.output.terminal import notify
from mgbench.machine import cores

if TYPE_CHECKING:
    from mgbench.results.tuning import Tuning
    from mgbench.tuning.search import Tried
    from mgbench.tuning.session import Session


def print_plan(session: "Session") -> None:
    """Print the budget, the images, the space, and what is left out of it."""
    from mgbench.results.wording import counted
    from mgbench.stages.reference import held_out_halves

    asked, base = session.request, session.base
    data = session.assembly.data
    halves = [len(half) for half in held_out_halves(data.test_labels, len(data.test))]
    needed = session.budget.forwards(base)
    own = session.assembly.spelled["sampling_steps"]
    steps = "" if own is None else f" in {counted(own, 'sampling step')}"
    typer.echo(
        f"{asked.method} for the best {session.score.label} at {asked.nfe:g} NFE: as it is, it takes {needed:g} of them for "
        f"an image{steps}"
    )
    typer.echo(
        f"searches on {halves[0]} held-out images (reference=validation) with the models of seeds "
        f"{_listed(asked.search_seeds)}; reports on {halves[1]} others (reference=test) with those of {_listed(asked.seeds)}"
    )
    for axis in session.space.axes:
        shown = [str(axis.range)] if axis.range else list(axis.choices)
        typer.echo(f"  {axis.field}: {', '.join(shown)}")
    notify(*session.notes)


def _listed(seeds: tuple[int, ...]) -> str:
    return ", ".join(map(str, seeds))


def print_time(session: "Session") -> None:
    """Print the rows of a search and, where similar rows are stored, the time that they take."""
    from mgbench.cli.forecast.estimates import stored_rates
    from mgbench.results.wording import duration
    from mgbench.trials.plan import Row, Trial

    asked = session.request
    models = len({*asked.seeds, *asked.search_seeds})
    rows = asked.plan.trials * len(asked.search_seeds) + 2 * models
    typer.echo(f"up to {rows} rows of {session.assembly.samples:,} images, of {models} models")
    assembly = session.assembly
    time = stored_rates(session.store.layout).of(
        Trial(assembly.keys.training, (Row(asked.method, assembly),)), trained=False
    )
    if time.total is None or time.sample is None:
        typer.echo("no time estimate: there are no similar stored rows")
        return
    row = time.sample + (time.score or 0)
    typer.echo(
        f"about {duration(rows * row)} for the rows and {duration(models * (time.train or 0))} for trainings that are not "
        f"stored, on one device, estimated from {time.source}"
    )


def line(session: "Session", tried: "Tried") -> str:
    """A suggestion with its score and its changes, for the terminal."""
    from mgbench.report.measures import number
    from mgbench.report.tuning import changes_said
    from mgbench.results.wording import counted

    recipe, _ = session.judge.tried[tried.number]
    steps = counted(recipe.sampling_steps, "step") if recipe else ""
    said = number(tried.score.value) if tried.score.value is not None else "–"
    best = tried.score.value is not None and session.winner.number == tried.number
    mark = " (best so far)" if best else ""
    changes = changes_said(dict(tried.changes)) or "as it is"
    reason = f": {tried.score.reason}" if tried.score.reason else ""
    return f"{tried.number:4d}  {said:>7}  {', '.join(filter(None, (steps, changes)))}{mark}{reason}"


def report(session: "Session", tuning: "Tuning", output: Path, target: Path) -> None:
    """Print the outcome of a search, and write its report."""
    from mgbench.cli.output.table import console, print_frame
    from mgbench.report import read_results, write_all
    from mgbench.report.tuning import changes_said, printable_gap, verdict

    results = session.store.root
    frame = read_results(results, session.name)
    print_frame(console(), printable_gap(session.store.layout, frame, tuning), f"{session.name}: {session.score.label}")
    for name, attempt in tuning.names.items():
        typer.echo(f"{name}: {changes_said(attempt.changes) or 'as it is'}")
    typer.echo(verdict(frame, tuning))
    typer.echo(f"study file: {target}, for mgbench run")
    typer.echo(f"report: {write_all(results, output, session.name, processes=cores())}")
