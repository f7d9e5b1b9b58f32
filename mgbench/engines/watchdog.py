"""A trial outlives who started it by a minute at most, however that came to its end."""

import os
import select
import signal
import threading
import time
from multiprocessing.connection import Connection

# For the write in hand, and a checkpoint.
PATIENCE = 60.0


def guard(parent: Connection, asked: list[int], patience: float = PATIENCE) -> None:
    """Watch the end of a pipe that leads to the parent: when nobody reads it any more, ask to stop, and in the end exit.

    What ends the parent and its group (Ray does, when the command dies) is not to end this process before its checkpoint.
    """
    if not hasattr(select, "poll"):
        return
    os.setpgid(0, 0)
    poller = select.poll()
    poller.register(parent.fileno(), 0)

    def watch() -> None:
        poller.poll()
        # The parent is gone: leave a checkpoint, for the same command to go on from, and hold nobody's cores.
        asked.append(signal.SIGHUP)
        time.sleep(patience)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
