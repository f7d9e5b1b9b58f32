"""Messages of trials, picked by what they say."""

from collections.abc import Iterable

from mgbench.interfaces.engine import End, Event, Message, Note, RowEnded, StageProgress

Said = Message | End | Event


def message(said: Said) -> Message | End:
    return said.message if isinstance(said, Event) else said


def at(said: Said, stage: str) -> bool:
    """Whether this is progress of that stage."""
    found = message(said)
    return isinstance(found, StageProgress) and found.stage == stage


def stages(said: Iterable[Said], stage: str = "") -> list[StageProgress]:
    """All progress, or that of one stage."""
    found = [one for one in map(message, said) if isinstance(one, StageProgress)]
    return [one for one in found if stage in ("", one.stage)]


def rows(said: Iterable[Said]) -> list[RowEnded]:
    return [one for one in map(message, said) if isinstance(one, RowEnded)]


def notes(said: Iterable[Said]) -> list[str]:
    return [one.text for one in map(message, said) if isinstance(one, Note)]
