"""How a run is told while it goes on: for people (`Live`), as one JSON object per event, or nothing but what went wrong."""

import json
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import typer

if TYPE_CHECKING:
    from mgbench.jobs import Event


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


class Quiet:
    """Only what did not end well, on the standard error."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def say(self, text: str) -> None:
        return

    def show(self, event: "Event") -> None:
        status, reason = ended(event)
        if status not in ("", "done"):
            typer.echo(f"mgbench: {event.job.name}: {status}: {reason}", err=True)
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


def ended(event: "Event") -> tuple[str, str]:
    """The status and the reason of a row or a trial that ended with this event; nothing where none did."""
    if event.end is not None:
        return event.end.status or "", event.end.reason
    return str(event.values.get("status", "")), str(event.values.get("reason", ""))
