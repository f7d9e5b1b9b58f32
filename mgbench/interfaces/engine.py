"""What passes between a run and the engine that does its work: jobs, what they may take, events, and how a job ended."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mgbench.recipes.recipe import Recipe
from mgbench.recipes.source import Source
from mgbench.results.layout import Layout
from mgbench.results.record import About, Status


@dataclass(frozen=True)
class Job:
    """One trial as plain values that cross to another process, or another machine.

    It starts when the job whose key it `needs` has ended, if there is such a job. `batch` images are drawn at once. `study`
    and `command` say what it is done for, and the plugins `trackers` hear how it goes.
    """

    name: str
    key: str
    about: About
    needs: str
    rows: tuple[tuple[str, Recipe], ...]
    sources: tuple[Source, ...]
    root: Path
    batch: int
    study: str = ""
    command: str = ""
    trackers: tuple[str, ...] = ()

    @property
    def log(self) -> Path:
        """What it prints."""
        return Layout(self.root).log(self.key)


@dataclass(frozen=True)
class Leases:
    """What the jobs of a run may take.

    `devices` are as the command line has them ("auto", "cpu:2", "cuda:0,cuda:1"), and each job is leased `each` of them. A
    job that takes longer than `seconds`, or more than `memory` bytes of this machine's memory, is ended.
    """

    devices: str = "auto"
    each: int = 1
    seconds: float | None = None
    memory: float | None = None


@dataclass(frozen=True)
class End:
    """How a job ended; where it has a status, it ended early, and that is to be recorded of the rows of which it told nothing."""

    status: Status | None = None
    reason: str = ""


@dataclass(frozen=True)
class Event:
    """What happened in a job: in `values` how far a stage is, how a row ended or a note; or with `end` that it has ended."""

    job: Job
    values: dict[str, Any] = field(default_factory=dict)
    end: End | None = None


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
    """Where do trials run? A component that opens such a place; it decides nothing of a result."""

    def open(self, leases: Leases) -> Run:
        """Make ready to run jobs.

        Raises:
            UserError: if there is no such device, or what it needs is not installed or does not answer.
        """
