"""This machine: its cores, and how other processes start on it."""

import multiprocessing
import os
from collections.abc import Sequence
from typing import Any

# The start method, and what new processes do instead where there is no server that they could be forked from.
FORKED, FRESH = "forkserver", "spawn"


def cores() -> int:
    """The number of cores that this process may use."""
    may_use: Sequence[int] | set[int] = (
        os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    )
    return len(may_use)


def has_server() -> bool:
    """Whether new processes can be forked from a server."""
    return FORKED in multiprocessing.get_all_start_methods()


def context() -> Any:
    """The context of `multiprocessing` in which processes start."""
    # Any: its type depends on the start method.
    return multiprocessing.get_context(FORKED if has_server() else FRESH)
