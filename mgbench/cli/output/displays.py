"""Displays of a run's progress: JSON lines, errors only, and the protocol that `Live` shares with them."""

import json
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import typer

from mgbench.cli.output.as_json import plain

if TYPE_CHECKING:
    from mgbench.interfaces.engine import Event


class Display(Protocol):
    """A display of a run: takes messages and events."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def say(self, text: str) -> None:
        """Show a message."""

    def show(self, event: "Event") -> None:
        """Update the display with an event."""

    def conclude(self, results: Path, study: str) -> None:
        """Show what a computed study holds: its table, and the verdicts on its claims."""


class Complaints:
    """Messages about failed rows and trials; rows of one trial that fail for the same reason share a message."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def of(self, event: "Event") -> str:
        """The message for an event; empty if there is nothing to report."""
        from mgbench.interfaces.engine import End, RowEnded

        match event.message:
            case End(str() as status, reason) | RowEnded(_, status, reason) if status != "done":
                said = f"{event.job.name}: {status}: {reason}"
                new = said not in self._said
                self._said.add(said)
                return said if new else ""
        return ""


class Quiet:
    """Print failures only, on standard error."""

    def __init__(self) -> None:
        self._complaints = Complaints()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def say(self, text: str) -> None:
        return

    def show(self, event: "Event") -> None:
        from mgbench.interfaces.engine import Note

        if said := self._complaints.of(event):
            typer.echo(f"mgbench: {said}", err=True)
        elif isinstance(event.message, Note):
            typer.echo(f"mgbench: {event.job.name}: {event.message.text}", err=True)

    def conclude(self, results: Path, study: str) -> None:
        return


class JsonLines(Quiet):
    """One JSON object per line: `event` is "stage", "row", "note" or "end" of a trial (`trial`, `key`), "claim" or "said"."""

    def say(self, text: str) -> None:
        self._print({"event": "said", "text": text})

    def show(self, event: "Event") -> None:
        kind, content = as_plain(event)
        self._print({"event": kind, "trial": event.job.name, "key": event.job.key, **content})

    def conclude(self, results: Path, study: str) -> None:
        from mgbench.cli.output.verdicts import verdict_values

        for claim in verdict_values(results, study):
            self._print({"event": "claim", **claim})

    def _print(self, content: dict[str, object]) -> None:
        typer.echo(json.dumps(plain(content), allow_nan=False))


def as_plain(event: "Event") -> tuple[str, dict[str, object]]:
    """The type of an event and its content as JSON values."""
    from mgbench.interfaces.engine import End, Note, RowEnded, StageProgress

    match event.message:
        case StageProgress(stage, done, total, row, steps, measured):
            of_row = {"row": row} if row else {}
            sampled = {"steps": steps} if steps else {}
            return "stage", {"stage": stage, "done": done, "total": total, **of_row, **sampled, **measured}
        case RowEnded(row, status, reason):
            return "row", {"row": row, "status": status, "reason": reason}
        case Note(text):
            return "note", {"note": text}
        case End(status, reason):
            return "end", {"status": status or "done", "reason": reason}
