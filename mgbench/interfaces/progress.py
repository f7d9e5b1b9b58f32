"""Progress of a trial, reported to the process that started it, and the request to stop that comes back."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace

from mgbench.interfaces.engine import Message, StageProgress
from mgbench.interfaces.ranks import Team

# The exit code of what a user stopped, as shells have it for Ctrl-C.
INTERRUPTED = 130
# Seconds at least between two reports of a stage whose steps are many.
SELDOM = 1.0
STOPPED_BY_USER = "stopped by the user; the same command goes on"


class Interrupted(Exception):
    """The user asked to stop; what was done is kept."""


@dataclass
class StopRequest:
    """The request to stop that reaches a process: by a signal, or because its parent has gone.

    A signal is only noted, so that a write or a training step in hand is finished, except where `anywhere` allows more.
    """

    asked: bool = False
    _at_once: bool = False

    def signalled(self) -> None:
        """Note a signal, in the main thread.

        Raises:
            Interrupted: inside `anywhere`.
        """
        self.asked = True
        if self._at_once:
            raise Interrupted

    @contextmanager
    def anywhere(self) -> Iterator[None]:
        """Inside the `with` a signal interrupts at once: for work that leaves nothing half done and may take minutes.

        Raises:
            Interrupted: if the user asks to stop, or did before.
        """
        before, self._at_once = self._at_once, True
        try:
            if self.asked:
                raise Interrupted
            yield
        finally:
            self._at_once = before


@dataclass(frozen=True)
class Advance:
    """A callback with the number of batches done and in all, after each; all are equal, so that no cache tells them apart."""

    report: Callable[[int, int], None] = field(default=lambda done, total: None, compare=False)

    def __call__(self, done: int, total: int) -> None:
        """Report one more batch; raises as `Progress`."""
        self.report(done, total)


UNREPORTED = Advance()


@dataclass
class Progress:
    """`emit` passes a message on; `stop` says whether the user asked to stop, and `anywhere` lets that interrupt at once."""

    emit: Callable[[Message], None] = field(default=lambda message: None)
    stop: Callable[[], bool] = field(default=lambda: False)
    anywhere: Callable[[], AbstractContextManager[None]] = nullcontext

    def __call__(
        self, stage: str, done: int, total: int, row: str = "", steps: int | None = None, **measured: float
    ) -> None:
        """Report how far a stage is, as `StageProgress` has it.

        Raises:
            Interrupted: if the user asked to stop.
        """
        self.emit(StageProgress(stage, done, total, row, steps, measured))
        self.check()

    def batches(self, stage: str, row: str = "") -> Advance:
        """A callback that reports the batches of a stage."""
        return Advance(lambda done, total: self(stage, done, total, row))

    def seldom(self, stage: str, row: str = "", steps: int | None = None) -> Advance:
        """A callback that reports steps of a stage at most once a second, and checks for a stop request at each."""
        told = time.monotonic()

        def advance(done: int, total: int) -> None:
            nonlocal told
            self.check()
            if time.monotonic() - told > SELDOM:
                self(stage, done, total, row, steps)
                told = time.monotonic()

        return Advance(advance)

    def check(self) -> None:
        """Leave the stage at hand if the user asked to stop.

        Raises:
            Interrupted: if so.
        """
        if self.stop():
            raise Interrupted

    def of(self, team: Team) -> "Progress":
        """The same for a stage in which all ranks of a team take part, and stop together when any of them was asked to.

        Nothing interrupts the messages of several ranks.
        """
        anywhere = self.anywhere if team.size == 1 else nullcontext
        return replace(self, stop=lambda: team.agree(self.stop()), anywhere=anywhere)
