"""How a run is told while it goes on: for people (`Live`), as one JSON object per event, or nothing but what went wrong."""

import json
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import typer

if TYPE_CHECKING:
    from mgbench.interfaces.engine import Event


class Display(Protocol):
    """Listener of a run: takes sentences for people, and events."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def say(self, text: str) -> None:
        """Tell people something."""

    def show(self, event: "Event") -> None:
        """Bring the display up to date with an event."""


class Complaints:
    """Sentences about rows and trials that did not end well: one where all rows of a trial fail for one reason."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def of(self, event: "Event") -> str:
        """A sentence, or nothing."""
        from mgbench.interfaces.engine import End, RowEnded

        match event.message:
            case End(str() as status, reason) | RowEnded(_, status, reason) if status != "done":
                said = f"{event.job.name}: {status}: {reason}"
                new = said not in self._said
                self._said.add(said)
                return said if new else ""
        return ""


class Quiet:
    """Only what did not end well, on the standard error."""

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


class JsonLines(Quiet):
    """One JSON object a line: `event` is "stage", "row", "note" or "end"; `trial` and `key` say of what."""

    def say(self, text: str) -> None:
        self._print({"event": "said", "text": text})

    def show(self, event: "Event") -> None:
        kind, content = as_plain(event)
        self._print({"event": kind, "trial": event.job.name, "key": event.job.key, **content})

    def _print(self, content: dict[str, object]) -> None:
        typer.echo(json.dumps(content))


def as_plain(event: "Event") -> tuple[str, dict[str, object]]:
    """The kind of an event, and what it says, as JSON has it."""
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
