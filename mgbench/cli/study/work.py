"""The computing of a study: its engine, its display, its stored view, and its exit code."""

import signal
import sys
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

from mgbench.cli.study.failures import FailureLimit
from mgbench.cli.study.selection import Chosen
from mgbench.errors import UserError
from mgbench.results.wording import counted

if TYPE_CHECKING:
    from mgbench.cli.output.displays import Display
    from mgbench.engines.status import StatusWriter
    from mgbench.interfaces.engine import Engine, Event, Job, Options, Run
    from mgbench.results.tuning import Tuning
    from mgbench.trials.plan import Trial


@dataclass(frozen=True)
class Work:
    """A study, its pending trials, the engine that runs them, its options, and the limit of failures."""

    chosen: Chosen
    trials: "list[Trial]"
    engine: "Run"
    options: "Options"
    limit: FailureLimit

    def job(self, trial: "Trial") -> "Job":
        """The job of a trial for the engine."""
        from mgbench.interfaces.engine import Job

        chosen = self.chosen
        return Job(
            name=trial.name,
            key=trial.key,
            about=trial.about,
            needs=trial.needs,
            rows=tuple((row.method, row.assembly.recipe) for row in trial.rows),
            sources=chosen.sources,
            root=chosen.store.root.resolve(),
            options=self.options,
            study=chosen.study.name,
            command=command_line(),
            trackers=chosen.trackers,
            planned=tuple(row.key for row in trial.rows),
            code=tuple(source.code() for source in chosen.sources),
        )


def engine_of(chosen: Chosen, engine: str, address: str) -> "Engine":
    """Build the engine.

    Raises:
        UserError: if the engine does not exist, or takes no address.
    """
    from mgbench.interfaces.engine import Engine
    from mgbench.recipes.spec import Spec, hints

    spec = Spec.parse(engine)
    if address:
        if "address" not in hints(chosen.registry.offer("engine", spec).maker):
            raise UserError(
                f"the engine {spec.name!r} takes no address; leave --address out, or choose another --engine"
            )
        spec = Spec(spec.name, spec.args, (*spec.options, ("address", address)))
    return chosen.registry.build(Engine, spec)


def display_of(work: Work, quiet: bool, as_json: bool) -> "Display":
    from mgbench.cli.output.displays import JsonLines, Quiet
    from mgbench.cli.output.live import Live
    from mgbench.cli.study.naming import row_names

    if as_json:
        return JsonLines()
    return Quiet() if quiet else Live(sum(len(trial.rows) for trial in work.trials), row_names(work.trials))


def command_line() -> str:
    import shlex

    return shlex.join(["mgbench", *sys.argv[1:]])


def save_view(chosen: Chosen, tuning: "Tuning | None" = None) -> None:
    """Store the list of the study's rows, the search that found one of its recipes, and the records of skipped rows."""
    from mgbench.registry.citations import references
    from mgbench.results.environment import packages
    from mgbench.results.record import StudyView

    for row in chosen.rows:
        if row.assembly.unfit:
            chosen.store.save_record(row.record("skipped", row.assembly.unfit))
    rows = tuple((row.key, row.method) for row in chosen.rows)
    cited = references(chosen.registry, [(row.method, row.assembly.spelled) for row in chosen.rows])
    claims = tuple(claim.plain() for claim in chosen.study.claims)
    chosen.store.save_study(StudyView(chosen.study.name, rows, command_line(), cited, packages(), claims, tuning))


def compute(work: Work, display: "Display") -> int:
    """Run every trial; returns 0 if all rows are done or skipped, 1 if some failed, 130 if the user stopped the run."""
    from mgbench.engines.status import StatusWriter
    from mgbench.engines.supervise import supervise

    chosen = work.chosen
    if not work.trials:
        return _exit_code(chosen, stopped=False)
    board = StatusWriter(
        chosen.store.layout, chosen.study.name, command_line(), sum(len(trial.rows) for trial in work.trials)
    )

    def show(event: "Event") -> None:
        board.show(event)
        display.show(event)
        if work.limit.reaches(event):
            work.engine.stop()

    with display, board.updating():
        asked = _stop_on_ctrl_c(work.engine, display, board)
        supervise(work.engine, chosen.store, work.trials, work.job, show)
        exit_code = _exit_code(chosen, stopped=bool(asked))
        board.ended(exit_code)
    return exit_code


def _stop_on_ctrl_c(engine: "Run", display: "Display", board: "StatusWriter") -> list[int]:
    """On SIGINT or SIGTERM let trials write checkpoints and end; on a second one end them at once."""
    asked: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        if len(asked) > 1:
            display.say("stopped")
            engine.kill()
            return
        trained = sum(stage.stage == "train" for stage in board.status.stages.values())
        kept = "a checkpoint" if trained == 1 else "checkpoints"
        waits = f": {counted(trained, 'training')} running, which will write {kept}" if trained else ""
        display.say(f"stopping{waits}; press Ctrl-C again to stop at once")
        engine.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    return asked


def _exit_code(chosen: Chosen, stopped: bool) -> int:
    from mgbench.interfaces.progress import INTERRUPTED

    if stopped:
        return INTERRUPTED
    records = [chosen.store.record(row.key) for row in chosen.rows]
    return int(any(record is None or record.status not in ("done", "skipped") for record in records))
