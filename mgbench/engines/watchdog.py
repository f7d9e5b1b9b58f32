"""End a trial within a minute after the process that started it has ended."""

import os
import select
import threading
import time
from multiprocessing.connection import Connection

from mgbench.interfaces.progress import StopRequest

# Seconds for the write in progress and a checkpoint.
PATIENCE = 60.0


def watch_parent(parent: Connection, request: StopRequest, patience: float = PATIENCE) -> None:
    """Watch the pipe to the parent: when its other end closes, request a stop, and exit after `patience` seconds.

    The process leaves the process group of its parent, because Ray kills the whole group when the command dies, before
    a checkpoint could be written.
    """
    if not hasattr(select, "poll"):
        return
    os.setpgid(0, 0)
    poller = select.poll()
    poller.register(parent.fileno(), 0)

    def watch() -> None:
        poller.poll()
        # The parent is gone: write a checkpoint, so that the same command resumes, and free the cores.
        request.asked = True
        time.sleep(patience)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
