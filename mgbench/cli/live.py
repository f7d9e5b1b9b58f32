"""Progress of all trials at once: a live display in a terminal, plain lines elsewhere."""

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from mgbench.cli.displays import Complaints

if TYPE_CHECKING:
    from mgbench.interfaces.engine import Event, Job


class Live:
    """Shows events as they come; `rows` is how many rows the whole study has to compute."""

    def __init__(self, rows: int) -> None:
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
        """Bring the display up to date with an event."""
        if event.end is not None:
            self._end(event)
        elif "note" in event.values:
            self.say(event.values["note"])
        elif "row" in event.values:
            self._row(event)
        else:
            self._stage(event.job, event.values)

    def _row(self, event: "Event") -> None:
        self._done += 1
        self._progress.advance(self._rows)
        self._complain(event)

    def _stage(self, job: "Job", values: dict[str, Any]) -> None:
        name, task = job.name, self._tasks.get(job.key)
        if task is None:
            task = self._tasks[job.key] = self._progress.add_task(name, total=values["total"], note="")
        label = _label(values)
        if self._stages.get(job.key) != label:
            self._stages[job.key] = label
            self._progress.reset(task, total=values["total"])
            if not self._console.is_terminal:
                self.say(f"{name}: {label} ({self._done} of {self._total} rows done)")
        self._progress.update(
            task, completed=values["done"], total=values["total"], note=_note(values), description=f"{name}: {label}"
        )

    def _end(self, event: "Event") -> None:
        task = self._tasks.pop(event.job.key, None)
        if task is not None:
            self._progress.remove_task(task)
        self._complain(event)

    def _complain(self, event: "Event") -> None:
        if said := self._complaints.of(event):
            self.say(said)


def _label(values: dict[str, Any]) -> str:
    return f"{values['stage']} at {values['steps']} steps" if values.get("steps") else str(values["stage"])


def _note(values: dict[str, Any]) -> str:
    loss = f"loss {values['loss']:.3f}" if "loss" in values else ""
    speed = f"{values['images_per_second']:.0f} images/s" if "images_per_second" in values else ""
    return ", ".join(filter(None, (loss, speed)))
