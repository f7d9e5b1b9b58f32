"""Progress of all trials: a live display on a terminal, plain lines elsewhere."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from mgbench.cli.output.displays import Complaints
from mgbench.results.wording import counted

if TYPE_CHECKING:
    from mgbench.interfaces.engine import Event, Job, StageProgress


class Live:
    """Live display of a run's events.

    `rows` is the number of rows to compute; `names` maps row keys to names (default: the trial's name).
    """

    def __init__(self, rows: int, names: Mapping[str, str] | None = None) -> None:
        self._names = names or {}
        self._console = Console()
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._rows = self._progress.add_task("rows", total=rows, note="")
        self._tasks: dict[str, TaskID] = {}
        self._stages: dict[str, str] = {}
        self._complaints = Complaints()
        self._done, self._total = 0, rows

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print a line above the display."""
        self._progress.console.print(text, soft_wrap=True, markup=False)

    def show(self, event: "Event") -> None:
        """Update the display with an event."""
        from mgbench.interfaces.engine import End, Note, RowEnded, StageProgress

        match event.message:
            case End():
                self._end(event)
            case Note(text):
                self.say(text)
            case RowEnded():
                self._row(event)
            case StageProgress() as now:
                self._stage(event.job, now)

    def conclude(self, results: Path, study: str) -> None:
        """Print the table of the study, and the verdicts on its claims."""
        from mgbench.cli.output.verdicts import print_study

        print_study(results, study)

    def _row(self, event: "Event") -> None:
        self._done += 1
        self._progress.advance(self._rows)
        self._complain(event)

    def _stage(self, job: "Job", now: "StageProgress") -> None:
        name, task = self._names.get(now.row, job.name), self._tasks.get(job.key)
        if task is None:
            task = self._tasks[job.key] = self._progress.add_task(name, total=now.total, note="")
        label = _label(now, len(job.rows))
        if self._stages.get(job.key) != f"{name}: {label}":
            self._stages[job.key] = f"{name}: {label}"
            self._progress.reset(task, total=now.total)
            if not self._console.is_terminal:
                self.say(f"{name}: {label} ({self._done} of {self._total} rows done)")
        self._progress.update(
            task, completed=now.done, total=now.total, note=_note(now.measured), description=f"{name}: {label}"
        )

    def _end(self, event: "Event") -> None:
        task = self._tasks.pop(event.job.key, None)
        if task is not None:
            self._progress.remove_task(task)
        self._complain(event)

    def _complain(self, event: "Event") -> None:
        if said := self._complaints.of(event):
            self.say(said)


def _label(now: "StageProgress", rows: int) -> str:
    """The name of a stage with its number of steps, or with the number of rows that share it."""
    if now.steps:
        return f"{now.stage} at {counted(now.steps, 'step')}"
    return f"{now.stage} for {rows} rows" if rows > 1 and not now.row else now.stage


def _note(measured: Mapping[str, float]) -> str:
    loss = f"loss {measured['loss']:.3f}" if "loss" in measured else ""
    speed = f"{measured['images_per_second']:.0f} images/s" if "images_per_second" in measured else ""
    return ", ".join(filter(None, (loss, speed)))
