"""Progress of a trial, reported to the process that started it, and the request to stop that comes back."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mgbench.interfaces.engine import Message, StageProgress
from mgbench.interfaces.ranks import Team

# The exit code of what a user stopped, as shells have it for Ctrl-C.
INTERRUPTED = 130
STOPPED_BY_USER = "stopped by the user; the same command goes on"


class Interrupted(Exception):
    """The user asked to stop; what was done is kept."""


@dataclass
class Progress:
    """`emit` passes a message on; `stop` says whether the user asked to stop."""

    emit: Callable[[Message], None] = field(default=lambda message: None)
    stop: Callable[[], bool] = field(default=lambda: False)

    def __call__(
        self, stage: str, done: int, total: int, row: str = "", steps: int | None = None, **measured: float
    ) -> None:
        """Report how far a stage is, as `StageProgress` has it.

        Raises:
            Interrupted: if the user asked to stop.
        """
        self.emit(StageProgress(stage, done, total, row, steps, measured))
        self.check()

    def check(self) -> None:
        """Leave the stage at hand if the user asked to stop.

        Raises:
            Interrupted: if so.
        """
        if self.stop():
            raise Interrupted

    def of(self, team: Team) -> "Progress":
        """The same for a stage in which all ranks of a team take part, and stop together when any of them was asked to."""
        return replace(self, stop=lambda: team.agree(self.stop()))
