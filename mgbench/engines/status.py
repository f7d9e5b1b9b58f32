"""Status files: a run writes its progress to a file every few seconds, and `mgbench status` reads it."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mgbench.engines.locks import Holder, lives, touching
from mgbench.errors import UserError
from mgbench.interfaces.engine import End, Event, Job, RowEnded, StageProgress
from mgbench.results.files import write_text
from mgbench.results.layout import Layout
from mgbench.results.schema import Corrupt, seal, unseal

WRITE_EVERY = 2.0


@dataclass
class Stage:
    """The current stage of a trial; `begun` is the time at which the stage began, `first` the step it began at."""

    trial: str
    stage: str
    done: int
    total: int
    begun: float
    first: int
    loss: float | None = None
    images_per_second: float | None = None

    def seconds_left(self, now: float) -> float | None:
        """Estimated seconds until the stage ends, at the average speed so far; None before the first step."""
        gone = self.done - self.first
        return (now - self.begun) * (self.total - self.done) / gone if gone > 0 else None


@dataclass
class Status:
    """One run of a study: its process, start, rows and running stages; `exit_code` is None until it ends.

    `ended` counts the rows that have ended. Times are in seconds since 1970.
    """

    study: str
    command: str
    holder: Holder
    started: float
    rows: int
    ended: int = 0
    written: float = 0.0
    exit_code: int | None = None
    stages: dict[str, Stage] = field(default_factory=dict)


class StatusWriter:
    """Writer of the status file of one run; `show` takes every event."""

    def __init__(self, layout: Layout, study: str, command: str, rows: int) -> None:
        now = time.time()
        self.status = Status(study, command, Holder.here(), now, rows, written=now)
        self._path = layout.runs_at_work / f"{study}-{self.status.holder.token[:8]}.json"

    @contextlib.contextmanager
    def updating(self) -> Iterator[None]:
        """Keep the file up to date inside the `with`; files of earlier runs of the study that have ended are removed."""
        for path, status, alive in _found(self._path.parent, self.status.study):
            if status.exit_code is not None or not alive:
                path.unlink(missing_ok=True)
        self._write()
        with touching(self._path):
            yield

    def show(self, event: Event) -> None:
        """Take an event into account, and write the file at most every two seconds."""
        match event.message:
            case RowEnded():
                self.status.ended += 1
            case StageProgress() as progress:
                self._stage(event.job, progress)
            case End():
                self.status.stages.pop(event.job.key, None)
        if time.time() - self.status.written > WRITE_EVERY:
            self._write()

    def ended(self, exit_code: int) -> None:
        """Write the exit code of the run."""
        self.status.exit_code = exit_code
        self.status.stages.clear()
        self._write()

    def _stage(self, job: Job, now: StageProgress) -> None:
        before = self.status.stages.get(job.key)
        same = before is not None and before.stage == now.stage and before.done <= now.done
        begun, first = (before.begun, before.first) if before and same else (time.time(), now.done)
        self.status.stages[job.key] = Stage(
            job.name,
            now.stage,
            now.done,
            now.total,
            begun,
            first,
            now.measured.get("loss"),
            now.measured.get("images_per_second"),
        )

    def _write(self) -> None:
        self.status.written = time.time()
        write_text(self._path, seal(asdict(self.status)))


def runs(layout: Layout, study: str = "") -> list[tuple[Status, bool]]:
    """The runs that have a status file, of one study or of all, and whether each is alive."""
    return [(status, alive) for _, status, alive in _found(layout.runs_at_work, study)]


def _found(folder: Path, study: str) -> Iterator[tuple[Path, Status, bool]]:
    for path in sorted(folder.glob("[!.]*.json")):
        try:
            status, last = _read(unseal(path.read_text(encoding="utf-8"))), path.stat().st_mtime
        except (OSError, Corrupt, KeyError, TypeError, UserError):
            continue  # just removed, or written by another version
        if study in ("", status.study):
            yield path, status, status.exit_code is None and lives(status.holder, folder, last)


def _read(content: dict[str, Any]) -> Status:
    stages = {key: Stage(**stage) for key, stage in content["stages"].items()}
    return dataclasses.replace(Status(**content), holder=Holder(**content["holder"]), stages=stages)
