"""The server of trials: what they find imported there, and how it ends."""

import gc
import os
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from mgbench.engines import server
from mgbench.machine import context, has_server
from mgbench.recipes.stage_code import stage_code

forked = pytest.mark.skipif(not has_server(), reason="this system forks no process from a server")
NEEDED = (*server.MODULES, "mgbench.components.heads.diffusion", "mgbench_plugins.emigm")


def tell(pipe: Connection) -> None:
    """Send which needed modules are here, whether garbage is searched for, how many objects need no search, and whether
    code is hashed.
    """
    hashed = stage_code.cache_info().currsize > 0
    pipe.send(([name for name in NEEDED if name in sys.modules], gc.isenabled(), gc.get_freeze_count(), hashed))


@forked
def test_a_trial_finds_what_is_preloaded_and_searches_only_what_it_makes() -> None:
    server.start()
    here, there = context().Pipe(duplex=False)
    process = context().Process(target=tell, args=(there,))
    process.start()
    there.close()
    modules, searches, frozen, hashed = here.recv()
    process.join()
    assert modules == list(NEEDED)
    assert searches
    assert hashed
    assert frozen > 100_000


@forked
def test_the_server_ends_with_its_process_and_not_after_its_imports(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text("import time\ntime.sleep(600)\n")
    script = "from mgbench.engines import server; server.PRELOAD = 'endless'; server.start()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    # The output, which the server shares, is read to its end.
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
