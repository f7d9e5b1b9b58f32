"""The process from which trials of this machine are forked, so that they need not import what it has imported."""

import atexit
import os
import signal
import threading
from contextlib import suppress
from multiprocessing import forkserver

from mgbench.machine import has_server

PRELOAD = "mgbench.engines.preload"
# What the server imports, besides all built-in plugins, because each takes seconds.
MODULES = ("mgbench.engines.worker", "diffusers.schedulers", "sklearn.datasets", "sklearn.cluster")


def start() -> None:
    """Start the server if it does not run. It imports for seconds, and this function does not wait for that."""
    # One thread for each trial: on a busy machine two can be many times slower than one.
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    if not has_server():
        return
    forkserver.set_forkserver_preload([PRELOAD])
    if threading.current_thread() is not threading.main_thread():
        return
    # With Ctrl-C ignored, as it would print a traceback of its imports.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)
    atexit.unregister(_end)
    atexit.register(_end)


def _end() -> None:
    """End the server with this process: by itself it would first finish its imports, and hold the output open till then."""
    number = getattr(forkserver._forkserver, "_forkserver_pid", None)
    if number is not None:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGTERM)
