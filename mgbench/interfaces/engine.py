"""Messages between a run and its engine: jobs, leases, and the events that jobs report."""

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
    """Options of a run that change no result: the images drawn at once (`batch`), and the images of each row kept on
    disk.

    `keep_images` None keeps all images, so that metrics added later can be computed from them.
    """

    batch: int = 250
    keep_images: int | None = None


# All images are kept; the batch fits a small GPU.
USUAL = Options()


@dataclass(frozen=True)
class Job:
    """One trial as plain values that can be sent to another process or machine.

    It starts after the jobs of the run whose keys are in `needs` have ended. `study` and `command` name the study and
    the command line that it belongs to; the plugins in `trackers` are notified of its progress. `planned` has the keys of its
    rows, and `code` the hash of the code of each source, as they were planned; nothing is compared where they are empty.
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
    planned: tuple[str, ...] = ()
    code: tuple[str, ...] = ()

    @property
    def log(self) -> Path:
        """The file that receives its output."""
        return Layout(self.root).log(self.key)


@dataclass(frozen=True)
class Leases:
    """The devices, time and memory that the jobs of a run may take.

    `devices` is written as on the command line ("auto", "cpu:2", "cuda:0,cuda:1"), and each job gets `each` of them. A
    job that runs longer than `seconds`, or uses more than `memory` bytes of this machine's memory, is ended.
    """

    devices: str = "auto"
    each: int = 1
    seconds: float | None = None
    memory: float | None = None


@dataclass(frozen=True)
class End:
    """The end of a job. A status means that it ended early; rows that have not ended are recorded with it."""

    status: Status | None = None
    reason: str = ""


@dataclass(frozen=True)
class StageProgress:
    """Progress of a stage of a job: `done` of `total` steps or images.

    `row` is the key of the row that is sampled or scored, and empty in a stage that all rows of the job share; `steps`
    is the number of sampling steps, None in other stages. `measured` holds measurements at this point, such as the
    loss.
    """

    stage: str
    done: int
    total: int
    row: str = ""
    steps: int | None = None
    measured: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RowEnded:
    """A row, by key, was recorded with this status; the reason is empty if it is done."""

    row: str
    status: Status
    reason: str = ""


@dataclass(frozen=True)
class Note:
    """A sentence for the user."""

    text: str


Message = StageProgress | RowEnded | Note


@dataclass(frozen=True)
class Event:
    """A message from a job, or its end."""

    job: Job
    message: Message | End

    @property
    def end(self) -> End | None:
        """The end of the job, or None if this is a message."""
        return self.message if isinstance(self.message, End) else None


class Run(Protocol):
    """A running engine."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Event]:
        """Run jobs and yield their events until all have ended, or, after `stop`, until the running ones have.

        Events of one job arrive in order; its end is the last.
        """

    def stop(self) -> None:
        """Ask every running job to finish its current write and end; start no more jobs."""

    def kill(self) -> None:
        """Kill every running job."""


class Engine(Protocol):
    """Where do trials run? An engine runs them there; no result depends on it."""

    def open(self, leases: Leases) -> Run:
        """Prepare to run jobs on the leased devices.

        Raises:
            UserError: if a device does not exist, or a required package or service is missing.
        """
