"""`mgbench status`, and runs in the background."""

import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mgbench.engines.status import StatusWriter
from mgbench.interfaces.engine import Event, Job, StageProgress
from mgbench.results.layout import Layout
from mgbench.results.record import StudyView
from mgbench.results.store import Store
from tests import doubles
from tests.cli.conftest import Answer, Command
from tests.report import synthetic


@pytest.fixture
def stored(tmp_path: Path) -> Store:
    store = Store(tmp_path / "results")
    done, failed = synthetic.record(steps=1), synthetic.unfinished("emigm", 2, 0, "failed", "broken")
    for record in (done, failed):
        store.save_record(record)
    rows = ((done.key, "m"), (failed.key, "m"), ("not yet", "m"))
    store.save_study(StudyView("mine", rows))
    return store


def test_nothing_run_is_said(mgbench: Command) -> None:
    assert mgbench("status").out == "no study has been run in results yet\n"


@pytest.mark.usefixtures("stored")
def test_rows_are_counted_without_a_run(mgbench: Command) -> None:
    assert mgbench("status").out == "mine  1 of 3 rows done, 1 failed, 1 left\n"


@pytest.mark.usefixtures("stored")
def test_a_study_that_is_not_there_is_told_with_the_nearest(mgbench: Command) -> None:
    answer = mgbench("status", "mien")
    assert answer.code == 2
    assert "did you mean 'mine'?" in answer.err


def test_a_run_at_work_and_one_that_ended_are_told(mgbench: Command, stored: Store) -> None:
    board = StatusWriter(stored.layout, "mine", "mgbench run", 2)
    with board.updating():
        job = Job("m (seed 0)", "key", "images", "", (), (), Path())
        board.status.written = 0
        measured = {"loss": 1.25, "images_per_second": 9.6}
        board.show(Event(job, StageProgress("train", 20, 100, measured=measured)))
        said = mgbench("status", "mine").out
        assert f"process {os.getpid()} on " in said
        assert "0 of its 2 rows done" in said
        assert "    m (seed 0): train 20 of 100, loss 1.250, 10 images/s\n" in said
        (content,) = json.loads(mgbench("status", "--json").out)
        assert content["rows"] == {"done": 1, "failed": 1, "left": 1}
        assert content["runs"][0]["alive"]
        board.ended(1)
    assert re.search(r"  ended with exit code 1 \d+ s ago, after \d+ s\n", mgbench("status").out)


def until(happens: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.3)


@pytest.mark.slow
def test_a_run_in_the_background_is_watched_and_stopped(mgbench: Command, tmp_path: Path) -> None:
    arguments = ["--plugins", doubles.FILE, "--methods", "tiny", "--devices", "cpu:1"]
    slow = ["--set", "loss_weighting=slow(0.02)", "--set", "train_steps=100000"]
    begun: Answer = mgbench("run", *arguments, *slow, "--detach")
    assert begun.code == 0, begun.err
    number = int(re.search(r"in the background as process (\d+)", begun.out)[1])  # type: ignore[index]
    try:
        until(lambda: "tiny (seed 0): train" in mgbench("status").out)
        assert f"process {number} on" in mgbench("status", "doubles").out
        os.kill(number, signal.SIGINT)
        until(lambda: "ended with exit code 130" in mgbench("status").out)
    finally:
        reap(number)
    assert "6 interrupted" in mgbench("status").out
    assert list(Layout(tmp_path / "results").root.glob("models/*/checkpoint.pt"))
    assert (
        "stopping: 1 training running, which will write a checkpoint"
        in (tmp_path / "results" / "logs" / "doubles.log").read_text()
    )


def reap(number: int) -> None:
    """The run is our child; make sure that nothing of it stays."""
    try:
        os.kill(number, signal.SIGKILL)
        os.waitpid(number, 0)
    except OSError:
        pass


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--plugins", "emgim"], "did you mean 'emigm'?"), (["--plugins", "emigm", "--engine", "lcoal"], "'local'?")],
)
def test_what_cannot_be_run_is_told_at_once_also_in_the_background(
    mgbench: Command, tmp_path: Path, arguments: list[str], said: str
) -> None:
    answer = mgbench("run", *arguments, "--detach")
    assert answer.code == 2
    assert said in answer.err
    assert list(tmp_path.iterdir()) == []
