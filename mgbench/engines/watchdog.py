"""Ends a trial within a minute of the end of the process that started it."""

import os
import select
import threading
import time
from multiprocessing.connection import Connection

from mgbench.interfaces.progress import StopRequest

# For the write in hand, and a checkpoint.
PATIENCE = 60.0


def guard(parent: Connection, request: StopRequest, patience: float = PATIENCE) -> None:
    """Watch the pipe to the parent: when nobody reads it any more, request to stop, and after so many seconds exit.

    The process leaves the group of its parent, because Ray ends the whole group when the command dies, and a checkpoint is to be
    written first.
    """
    if not hasattr(select, "poll"):
        return
    os.setpgid(0, 0)
    poller = select.poll()
    poller.register(parent.fileno(), 0)

    def watch() -> None:
        poller.poll()
        # The parent is gone: leave a checkpoint, for the same command to go on from, and hold nobody's cores.
        request.asked = True
        time.sleep(patience)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
