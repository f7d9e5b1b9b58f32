"""`mgbench` in the process of the tests, which has imported everything: a start of Python costs seconds."""

import signal
import sys
from pathlib import Path

import pytest

from mgbench.cli import main


def without_report(patch: pytest.MonkeyPatch) -> None:
    """Let `run` draw no figures and write no page, which takes seconds."""
    patch.setattr("mgbench.report.write_all", lambda results, output, *given, **named: output / "index.html")


def ran(folder: Path, *arguments: str) -> int:
    """Run `mgbench …` in a folder, but for the report; the exit code."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    folder.mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        without_report(patch)
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["mgbench", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
    for number, handler in handlers.items():
        signal.signal(number, handler)
    return int(end.value.code or 0)
