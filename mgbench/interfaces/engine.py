"""Messages between a run and the engine that does its work: jobs, leases, and the events that a job reports."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mgbench.recipes.recipe import Recipe
from mgbench.recipes.source import Source
from mgbench.results.layout import Layout
from mgbench.results.record import About, Status


@dataclass(frozen=True)
class Options:
    """Options of a run that change no result: `batch` images are drawn at once, and `keep_images` of each row are kept.

    None keeps all images, so that a metric added later is taken of them.
    """

    batch: int = 250
    keep_images: int | None = None


# All images are kept, and as many drawn at once as a small GPU holds.
USUAL = Options()


@dataclass(frozen=True)
class Job:
    """One trial as plain values that cross to another process, or another machine.

    It starts when the jobs whose keys it `needs` have ended, those of them that there are. `study`
    and `command` say what it is done for, and the plugins `trackers` are notified of its progress.
    """

    name: str
    key: str
    about: About
    needs: tuple[str, ...]
    rows: tuple[tuple[str, Recipe], ...]
    sources: tuple[Source, ...]
    root: Path
    options: Options = USUAL
    study: str = ""
    command: str = ""
    trackers: tuple[str, ...] = ()

    @property
    def log(self) -> Path:
        """The file that its output goes to."""
        return Layout(self.root).log(self.key)


@dataclass(frozen=True)
class Leases:
    """The devices, time and memory that the jobs of a run may take.

    `devices` are as the command line has them ("auto", "cpu:2", "cuda:0,cuda:1"), and each job is leased `each` of them. A
    job that takes longer than `seconds`, or more than `memory` bytes of this machine's memory, is ended.
    """

    devices: str = "auto"
    each: int = 1
    seconds: float | None = None
    memory: float | None = None


@dataclass(frozen=True)
class End:
    """How a job ended. A status means that it ended early, and is recorded for those of its rows that have not ended."""

    status: Status | None = None
    reason: str = ""


@dataclass(frozen=True)
class StageProgress:
    """How far a stage of a job is: `done` of `total` steps or images.

    `row` is the key of the row that is sampled or scored, empty in a stage that all rows of the job share; `steps` is the
    number of sampling steps, None elsewhere. `measured` holds what was measured at this point, such as the loss.
    """

    stage: str
    done: int
    total: int
    row: str = ""
    steps: int | None = None
    measured: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RowEnded:
    """A row, by its key, is recorded with this status; the reason is empty where it is done."""

    row: str
    status: Status
    reason: str = ""


@dataclass(frozen=True)
class Note:
    """A sentence for people."""

    text: str


Message = StageProgress | RowEnded | Note


@dataclass(frozen=True)
class Event:
    """A message of a job, or its end."""

    job: Job
    message: Message | End

    @property
    def end(self) -> End | None:
        """How the job ended; None where it goes on."""
        return self.message if isinstance(self.message, End) else None


class Run(Protocol):
    """An engine at work."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Event]:
        """Yield events until every job has ended, or those that ran when `stop` was called have.

        Events of one job come in their order, and last the one with its end.
        """

    def stop(self) -> None:
        """Ask every running job to finish the write in hand and end; start no more."""

    def kill(self) -> None:
        """End every running job at once."""


class Engine(Protocol):
    """Where do trials run? A component that opens such a place; no result depends on it."""

    def open(self, leases: Leases) -> Run:
        """Make ready to run jobs.

        Raises:
            UserError: if there is no such device, or what it needs is not installed or does not answer.
        """
