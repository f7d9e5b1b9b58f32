"""Run a command in the background, where it outlives the terminal."""

import subprocess
import sys
from pathlib import Path

OPTION = "--detach"


def start(log: Path) -> int:
    """Start this command again without `--detach`, with its output in a log file; returns the process id."""
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "mgbench", *(word for word in sys.argv[1:] if word != OPTION)]
    with log.open("ab") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    return process.pid
