"""How a trial is told to the outside, and how the outside tells it to stop."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from mgbench.interfaces.ranks import Team

# The exit code of what a user stopped, as shells have it for Ctrl-C.
INTERRUPTED = 130
STOPPED_BY_USER = "stopped by the user; the same command goes on"


class Interrupted(Exception):
    """The user asked to stop; what was done is kept."""


@dataclass
class Progress:
    """`emit` gets plain values; `stop` says whether the user asked to stop."""

    emit: Callable[[dict[str, Any]], None] = field(default=lambda event: None)
    stop: Callable[[], bool] = field(default=lambda: False)

    def __call__(self, stage: str, done: int, total: int, **rest: Any) -> None:
        """Tell how far a stage is.

        Raises:
            Interrupted: if the user asked to stop.
        """
        self.emit({"stage": stage, "done": done, "total": total, **rest})
        self.check()

    def check(self) -> None:
        """
        Raises:
            Interrupted: if the user asked to stop.
        """
        if self.stop():
            raise Interrupted

    def of(self, team: Team) -> "Progress":
        """The same for a stage that all ranks of a team take part in, who stop together when any of them was asked to."""
        return replace(self, stop=lambda: team.agree(self.stop()))
