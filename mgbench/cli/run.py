"""`mgbench run`: plan, compute what is not stored yet, report."""

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from mgbench.cli import choices
from mgbench.cli.plan import summary
from mgbench.progress import INTERRUPTED

if TYPE_CHECKING:
    from mgbench.cli.live import Live
    from mgbench.engines.local import LocalEngine
    from mgbench.engines.worker import Job
    from mgbench.plan import Trial


def run(
    study_file: choices.StudyFile = None,
    plugins: choices.Plugins = "",
    set_: choices.Set = None,
    vary: choices.Vary = None,
    seeds: choices.Seeds = "",
    methods: choices.Methods = "",
    name: choices.Name = "",
    results: choices.Results = Path("results"),
    reports: Annotated[Path, typer.Option(help="Where to write the report.")] = Path("reports"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, or one device such as cuda:1.")] = "auto",
    jobs: Annotated[
        int, typer.Option(min=0, help="Trials at once on a CPU, one thread each (0: as many as cores).")
    ] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Images drawn at once; the images do not depend on it.")] = 250,
) -> None:
    """Train, sample and evaluate every recipe of a study, then report; what is stored already is reused."""
    chosen = choices.choose(choices.outline(study_file, plugins, set_, vary, seeds, methods, name), results)
    slots = _slots(device, jobs)
    chosen.store.check_writable()
    _save_view(chosen)
    typer.echo(f"study {chosen.study.name}: {summary(chosen)}")
    exit_code = _compute(chosen, slots, batch)
    if exit_code == INTERRUPTED:
        typer.echo("stopped; the same command goes on where this one left off")
    else:
        _finish(chosen, results, reports)
    raise typer.Exit(exit_code)


def _slots(device: str, jobs: int) -> list[str]:
    """A device for each trial that may run at once.

    Raises:
        UserError: if the device is unknown or there is none.
    """
    from mgbench.engines.devices import cpu_slots, cuda_slots, named_slots

    if device == "auto":
        return cuda_slots() or cpu_slots(jobs)
    return cpu_slots(jobs) if device == "cpu" else named_slots(device)


def _save_view(chosen: choices.Chosen) -> None:
    """Write which rows the study has, and those that are skipped."""
    from mgbench.citing import references
    from mgbench.record import StudyView

    for row in chosen.rows:
        if row.assembly.unfit:
            chosen.store.save_record(row.record("skipped", row.assembly.unfit))
    rows = tuple((row.key, row.method) for row in chosen.rows)
    cited = references(chosen.registry, [(row.method, row.assembly.spelled) for row in chosen.rows])
    chosen.store.save_study(StudyView(chosen.study.name, rows, " ".join(["mgbench", *sys.argv[1:]]), cited))


def _compute(chosen: choices.Chosen, slots: list[str], batch: int) -> int:
    """Run every trial; 0 if all rows are done or skipped, 1 if some failed, 130 if the user stopped it."""
    from mgbench.cli.live import Live
    from mgbench.engines.local import LocalEngine
    from mgbench.plan import plan_trials

    trials = {trial.key: trial for trial in plan_trials(chosen.rows)}
    if not trials:
        return _exit_code(chosen, stopped=False)
    engine = LocalEngine(slots)
    with Live(sum(len(trial.rows) for trial in trials.values())) as live:
        asked = _stop_on_ctrl_c(engine, live)
        for event in engine.run([_job(chosen, trial, batch) for trial in trials.values()]):
            live.show(event)
            if event.exit_code:
                _record_death(chosen, trials[event.job.key], event.exit_code, bool(asked))
    return _exit_code(chosen, stopped=bool(asked))


def _job(chosen: choices.Chosen, trial: "Trial", batch: int) -> "Job":
    from mgbench.engines.worker import Job

    rows = tuple((row.method, row.assembly.recipe) for row in trial.rows)
    root = chosen.store.root.resolve()
    log = chosen.store.layout.log(trial.key).resolve()
    return Job(trial.name, trial.key, trial.about, trial.needs, rows, chosen.sources, root, "cpu", batch, log)


def _stop_on_ctrl_c(engine: "LocalEngine", live: "Live") -> list[int]:
    """Ctrl-C, or being told to end, lets the trials finish the write in hand and end; a second one ends them at once."""
    asked: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        engine.stop() if len(asked) == 1 else engine.kill()
        live.say(
            "stopping: checkpoints are being written; Ctrl-C again stops at once" if len(asked) == 1 else "stopped"
        )

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    return asked


def _record_death(chosen: choices.Chosen, trial: "Trial", exit_code: int, stopped: bool) -> None:
    """Record the rows that a process took along when it ended; the worker has recorded its own failures."""
    from mgbench.engines.local import why_it_died

    if exit_code == INTERRUPTED:
        return
    log = chosen.store.layout.log(trial.key)
    for row in trial.rows:
        found = chosen.store.record(row.key)
        if found is None or found.status != "done":
            status = "interrupted" if stopped else "failed"
            chosen.store.save_record(row.record(status, f"{why_it_died(exit_code)} (log: {log})"))


def _exit_code(chosen: choices.Chosen, stopped: bool) -> int:
    if stopped:
        return INTERRUPTED
    records = [chosen.store.record(row.key) for row in chosen.rows]
    return int(any(record is None or record.status not in ("done", "skipped") for record in records))


def _finish(chosen: choices.Chosen, results: Path, reports: Path) -> None:
    from mgbench.cli.table import print_table
    from mgbench.report import read_results, write_all

    print_table(read_results(results, chosen.study.name))
    page = write_all(results, reports / chosen.study.name, chosen.study.name)
    typer.echo(f"report: {page}")
