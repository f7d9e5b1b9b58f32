"""How a run is told while it goes on: for people (`Live`), as one JSON object per event, or nothing but what went wrong."""

import json
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import typer

if TYPE_CHECKING:
    from mgbench.interfaces.engine import Event


class Display(Protocol):
    """What hears of a run: sentences for people, and events."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def say(self, text: str) -> None:
        """Tell people something."""

    def show(self, event: "Event") -> None:
        """Bring the display up to date with an event."""


class Complaints:
    """What to say of rows and trials that did not end well: once, where all rows of a trial fail for one reason."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def of(self, event: "Event") -> str:
        """A sentence, or nothing."""
        end, values = event.end, event.values
        status = end.status if end else values.get("status")
        said = f"{event.job.name}: {status}: {end.reason if end else values.get('reason', '')}"
        if status in (None, "done") or said in self._said:
            return ""
        self._said.add(said)
        return said


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
        if said := self._complaints.of(event):
            typer.echo(f"mgbench: {said}", err=True)
        elif "note" in event.values:
            typer.echo(f"mgbench: {event.job.name}: {event.values['note']}", err=True)


class JsonLines(Quiet):
    """One JSON object a line: `event` is "stage", "row", "note" or "end"; `trial` and `key` say of what."""

    def say(self, text: str) -> None:
        self._print({"event": "said", "text": text})

    def show(self, event: "Event") -> None:
        of = {"trial": event.job.name, "key": event.job.key}
        if event.end is not None:
            self._print({"event": "end", **of, "status": event.end.status or "done", "reason": event.end.reason})
        else:
            kind = next(name for name in ("row", "note", "stage") if name in event.values)
            self._print({"event": kind, **of, **event.values})

    def _print(self, content: dict[str, object]) -> None:
        typer.echo(json.dumps(content))
