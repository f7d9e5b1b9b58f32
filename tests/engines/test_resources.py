"""What trials hold of the machine's memory, also of that which they hold together."""

import os
import signal
import subprocess
import sys

import pytest

from mgbench.engines.resources import memory_of, memory_of_machine

SIZE = 2**28
# Two that were forked off one that holds much, as trials are, and change nothing of it.
FORKED = f"""
import os, time
held = bytearray(b"x") * {SIZE}
children = []
for _ in range(2):
    children += [os.fork()]
    if not children[-1]:
        break
else:
    print(*children, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how memory is shared")
def test_what_is_held_together_is_counted_once() -> None:
    process = subprocess.Popen([sys.executable, "-c", FORKED], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    children = [int(number) for number in process.stdout.readline().split()]
    try:
        first = children[0]
        assert memory_of([first]) > SIZE
        assert memory_of([first], exactly=True) < 0.6 * SIZE
        assert memory_of([process.pid]) > 3 * SIZE
        assert SIZE < memory_of([process.pid], exactly=True) < 1.2 * SIZE
    finally:
        for number in (*children, process.pid):
            os.kill(number, signal.SIGKILL)
        process.wait()


def test_a_process_that_has_ended_holds_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert memory_of([process.pid]) == memory_of([process.pid], exactly=True) == 0


def test_the_machine_has_more_than_this_process_holds() -> None:
    assert memory_of_machine() > memory_of([os.getpid()]) > 0
