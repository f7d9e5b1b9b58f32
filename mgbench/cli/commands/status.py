"""`mgbench status`: progress of studies."""

import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgbench.cli.arguments import completion, options
from mgbench.cli.output.as_json import print_json
from mgbench.cli.output.terminal import notify
from mgbench.results.wording import duration

if TYPE_CHECKING:
    from mgbench.engines.status import Stage, Status
    from mgbench.results.layout import Layout
    from mgbench.results.record import StudyView


def status(
    study: Annotated[
        str, typer.Argument(help="A study's name (default: all).", show_default=False, autocompletion=completion.study)
    ] = "",
    results: options.Results = Path("results"),
    as_json: options.Json = False,
) -> None:
    """Show how many rows of each study are done, which runs are active, and the current stage of each trial."""
    from mgbench.engines.status import runs
    from mgbench.results.layout import Layout

    layout = Layout(results)
    found = [(view, _count(layout, view), runs(layout, view.name)) for view in _views(layout, study)]
    if as_json:
        _print_json(found)
        return
    if not found:
        typer.echo(f"no study has been run in {results} yet")
    for view, counts, at_work in found:
        typer.secho(view.name, bold=True, nl=False)
        typer.echo(f"  {_counted(counts)}")
        for run, alive in at_work:
            typer.echo(f"  {_run(run, alive)}")
            for stage in run.stages.values() if alive else ():
                typer.echo(f"    {_stage(stage)}")


def _views(layout: "Layout", study: str) -> "list[StudyView]":
    from mgbench.results.record import find_study, load_study
    from mgbench.results.schema import Corrupt

    if study:
        return [find_study(layout, study)]
    found = []
    for path in sorted((layout.root / "studies").glob("[!.]*.json")):
        try:
            found.append(load_study(path))
        except Corrupt as problem:
            notify(f"{path} cannot be read ({problem}); run the study again")
    return found


def _count(layout: "Layout", view: "StudyView") -> dict[str, int]:
    """Number of rows of a study by status; rows without a record count as "left"."""
    from mgbench.results.record import load_record
    from mgbench.results.schema import Corrupt

    counts: Counter[str] = Counter()
    for key, _ in view.rows:
        try:
            counts[load_record(layout.run(key) / "record.json").status] += 1
        except (OSError, Corrupt):
            counts["left"] += 1
    return dict(counts)


def _counted(counts: dict[str, int]) -> str:
    others = ", ".join(f"{count} {name}" for name, count in counts.items() if name != "done")
    return f"{counts.get('done', 0)} of {sum(counts.values())} rows done" + (f", {others}" if others else "")


def _run(run: "Status", alive: bool) -> str:
    if run.exit_code is not None:
        return (
            f"ended with exit code {run.exit_code} {_ago(run.written)} ago, after {duration(run.written - run.started)}"
        )
    if alive:
        return f"running for {_ago(run.started)}: {run.holder}; {run.ended} of its {run.rows} rows done"
    return f"died at most {_ago(run.written)} ago ({run.holder}); the same command continues it: {run.command}"


def _stage(stage: "Stage") -> str:
    parts = [f"{stage.trial}: {stage.stage} {stage.done} of {stage.total}"]
    if stage.loss is not None:
        parts.append(f"loss {stage.loss:.3f}")
    if stage.images_per_second is not None:
        parts.append(f"{stage.images_per_second:.0f} images/s")
    left = stage.seconds_left(time.time())
    if left is not None:
        parts.append(f"about {duration(left)} left")
    return ", ".join(parts)


def _ago(since: float) -> str:
    return duration(max(0.0, time.time() - since))


def _print_json(found: "list[tuple[StudyView, dict[str, int], list[tuple[Status, bool]]]]") -> None:
    content: list[dict[str, Any]] = [
        {"study": view.name, "rows": counts, "runs": [{**asdict(run), "alive": alive} for run, alive in at_work]}
        for view, counts, at_work in found
    ]
    print_json(content)
