"""Limits on the time and memory of a trial, and sentences for how a process ended."""

import contextlib
import signal
from collections.abc import Iterable
from pathlib import Path

import psutil

from mgbench.interfaces.engine import End

# The share of the memory that all trials together may hold; above it the system kills processes of its own choice.
MEMORY_SHARE = 0.9
GIB = 2**30


def memory_of(processes: Iterable[int], exactly: bool = False) -> int:
    """Bytes of memory that these processes and their children hold.

    With `exactly`, shared pages are divided among the processes that share them (PSS, Linux only), which is much slower.
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
        return 0  # the process has ended meanwhile


def memory_of_machine() -> int:
    """Bytes of memory of this machine, or the limit of the container if that is lower."""
    try:
        allowed = int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
    except (OSError, ValueError):
        allowed = 0
    total = int(psutil.virtual_memory().total)
    return min(total, allowed) if allowed else total


def too_long(seconds: float) -> End:
    """The end of a trial that exceeds its time limit."""
    return End("timeout", f"it took longer than --trial-timeout allows ({seconds:g} s); its checkpoint is kept")


def too_large(held: float, allowed: float, whose: str) -> End:
    """The end of a trial that exceeds a memory limit, in bytes; `whose` names the limit."""
    return End("oom", f"it held {held / GIB:.2f} GiB of memory, and {whose} {allowed / GIB:.2f} GiB")


def why_it_died(exit_code: int) -> str:
    """A sentence for a nonzero exit code: the signal that killed the process (negative), or the code."""
    if exit_code < 0:
        known = {number.value: number.name for number in signal.Signals}
        return f"its process was ended by {known.get(-exit_code, f'signal {-exit_code}')}"
    return f"its process ended with exit code {exit_code}"
