"""A process that nobody reads any more is asked to stop, and ends even if it does not listen."""

import os
import subprocess
import sys

GUARDED = """
import sys, time
from multiprocessing.connection import Connection
from mgbench.engines.watchdog import watch_parent
from mgbench.interfaces.progress import StopRequest
request = StopRequest()
pipe = Connection(int(sys.argv[1]), readable=False)
watch_parent(pipe, request, float(sys.argv[2]))
print("ready", flush=True)
while not request.asked or sys.argv[2] == "0.2":
    time.sleep(0.01)
print("asked to stop", flush=True)
"""


def guarded(patience: float) -> tuple[str, int]:
    """What such a process says when the other end of its pipe closes, and its exit code."""
    ours, theirs = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", GUARDED, str(theirs), str(patience)],
        pass_fds=[theirs],
        stdout=subprocess.PIPE,
        text=True,
    )
    os.close(theirs)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    assert process.poll() is None
    assert os.getpgid(process.pid) == process.pid, "what ends the group of the parent does not end it"
    os.close(ours)
    said, _ = process.communicate(timeout=60)
    return said, process.returncode


def test_who_listens_is_asked_to_stop() -> None:
    assert guarded(60) == ("asked to stop\n", 0)


def test_who_does_not_listen_is_ended() -> None:
    assert guarded(0.2) == ("", 1)
