"""What a trial may take of the machine: so long, and so much memory; and how a process that ended is told in words."""

import contextlib
import signal
from collections.abc import Iterable
from pathlib import Path

import psutil

from mgbench.interfaces.engine import End

# All trials together may fill this share of the memory: beyond it the system itself would end whatever it likes.
MEMORY_SHARE = 0.9
GIB = 2**30


def memory_of(processes: Iterable[int], exactly: bool = False) -> int:
    """Bytes of memory that these processes and their children hold.

    Exactly, what several of them hold together is shared out among them, where the system tells that; it takes much longer.
    """
    total = 0
    for number in processes:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(number)
            family = [process, *process.children(recursive=True)]
            total += sum(_held(member, exactly) for member in family)
    return total


def _held(process: psutil.Process, exactly: bool) -> int:
    try:
        info = process.memory_full_info() if exactly else process.memory_info()
        return int(getattr(info, "pss", info.rss))
    except psutil.Error:
        return 0  # it has ended meanwhile


def memory_of_machine() -> int:
    """Bytes of memory that this machine has, or that the container this runs in may take."""
    try:
        allowed = int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
    except (OSError, ValueError):
        allowed = 0
    total = int(psutil.virtual_memory().total)
    return min(total, allowed) if allowed else total


def too_long(seconds: float) -> End:
    """What becomes of a trial that takes longer than it may."""
    return End("timeout", f"it took longer than --trial-timeout allows ({seconds:g} s); its checkpoint is kept")


def too_large(held: float, allowed: float, whose: str) -> End:
    """What becomes of a trial that takes more memory than it may."""
    return End("oom", f"it held {held / GIB:.2f} GiB of memory, and {whose} {allowed / GIB:.2f} GiB")


def why_it_died(exit_code: int) -> str:
    """A sentence for an exit code that is not 0."""
    if exit_code < 0:
        known = {number.value: number.name for number in signal.Signals}
        return f"its process was ended by {known.get(-exit_code, f'signal {-exit_code}')}"
    return f"its process ended with exit code {exit_code}"
