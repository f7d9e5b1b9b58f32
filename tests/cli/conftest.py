"""The command line in this process: what it prints, and the exit code."""

import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mgbench.cli import main
from tests.in_process import without_report


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Answer]


@pytest.fixture
def counted_rows() -> int:
    """How many rows of a plan have their costs counted unless asked: none, because each takes about a second."""
    return 0


@pytest.fixture
def mgbench(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, counted_rows: int
) -> Iterator[Command]:
    """Run `mgbench …` in an empty folder."""
    monkeypatch.setattr("mgbench.cli.commands.plan.COUNTED_ROWS", counted_rows)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.setenv("NO_COLOR", "1")
    handler = signal.getsignal(signal.SIGINT)

    def run(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["mgbench", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return Answer(int(end.value.code or 0), out, err)

    yield run
    signal.signal(signal.SIGINT, handler)


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` writes no report here; another test reads one."""
    without_report(monkeypatch)
