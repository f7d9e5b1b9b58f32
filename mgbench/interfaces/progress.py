"""Progress reports of a trial, and the user's request to stop it."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace

from mgbench.interfaces.engine import Message, StageProgress
from mgbench.interfaces.ranks import Team

# Exit code after an interrupt: 128 + SIGINT, as in shells.
INTERRUPTED = 130
# Minimum number of seconds between two reports of a stage with many short steps.
SELDOM = 1.0
STOPPED_BY_USER = "stopped by the user; the same command continues"


class Interrupted(Exception):
    """The user asked to stop; finished work is kept."""


@dataclass
class StopRequest:
    """A request to stop this process, by a signal or because its parent process ended.

    A signal only sets a flag, so that the current write or training step is finished, except inside `anywhere`.
    """

    asked: bool = False
    _at_once: bool = False

    def signalled(self) -> None:
        """Signal handler, called in the main thread.

        Raises:
            Interrupted: inside `anywhere`.
        """
        self.asked = True
        if self._at_once:
            raise Interrupted

    @contextmanager
    def anywhere(self) -> Iterator[None]:
        """Context in which a signal interrupts immediately: for long work that leaves nothing half done.

        Raises:
            Interrupted: if the user asks to stop, or has asked before.
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
    """Callback after each batch with the number done and the total; all instances compare equal, so caches ignore them."""

    report: Callable[[int, int], None] = field(default=lambda done, total: None, compare=False)

    def __call__(self, done: int, total: int) -> None:
        """Report a finished batch; raises as `Progress`."""
        self.report(done, total)


UNREPORTED = Advance()


@dataclass
class Progress:
    """Reporter: `emit` sends a message, `stop` is True once the user asked to stop, `anywhere` allows immediate
    interruption.
    """

    emit: Callable[[Message], None] = field(default=lambda message: None)
    stop: Callable[[], bool] = field(default=lambda: False)
    anywhere: Callable[[], AbstractContextManager[None]] = nullcontext

    def __call__(
        self, stage: str, done: int, total: int, row: str = "", steps: int | None = None, **measured: float
    ) -> None:
        """Report the progress of a stage (arguments as in `StageProgress`).

        Raises:
            Interrupted: if the user asked to stop.
        """
        self.emit(StageProgress(stage, done, total, row, steps, measured))
        self.check()

    def batches(self, stage: str, row: str = "") -> Advance:
        """A callback that reports each batch of a stage."""
        return Advance(lambda done, total: self(stage, done, total, row))

    def seldom(self, stage: str, row: str = "", steps: int | None = None) -> Advance:
        """A callback that reports steps of a stage at most once a second, and checks for a stop request at each step."""
        told = time.monotonic()

        def advance(done: int, total: int) -> None:
            nonlocal told
            self.check()
            if time.monotonic() - told > SELDOM:
                self(stage, done, total, row, steps)
                told = time.monotonic()

        return Advance(advance)

    def check(self) -> None:
        """Raise if the user asked to stop.

        Raises:
            Interrupted: if the user asked to stop.
        """
        if self.stop():
            raise Interrupted

    def of(self, team: Team) -> "Progress":
        """Progress for a stage that all ranks of a team run; they stop together when any of them was asked to.

        With several ranks a signal does not interrupt immediately, because a rank may be waiting for a message.
        """
        anywhere = self.anywhere if team.size == 1 else nullcontext
        return replace(self, stop=lambda: team.any(self.stop()), anywhere=anywhere)
