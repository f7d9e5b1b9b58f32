"""`mgbench run --track …`: what a user sees of trackers, those that work and those that do not."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from mgbench.results.record import load_record
from tests.cli.commands.test_run import DOUBLES, environment, records
from tests.cli.conftest import Command

pytestmark = pytest.mark.slow

BUNDLED = [name for name in ("tensorboard", "wandb", "mlflow") if importlib.util.find_spec(name)]
OFFLINE = {"WANDB_MODE": "offline", "WANDB_ERROR_REPORTING": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
MINE = """
from mgbench import hookimpl

@hookimpl
def mgbench_run_started(run):
    run.folder.mkdir(parents=True)
    (run.folder / "run.txt").write_text(run.name)

@hookimpl
def mgbench_step_logged(run, stage, step, values):
    values["loss"] /= 0
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A tracked run in a session of its own, which nobody is left of."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mgbench", *DOUBLES, *arguments],
        cwd=folder,
        env={**environment(), **OFFLINE},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    out, err = process.communicate(timeout=180)
    ended = {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
    left = [other for other in psutil.process_iter(["pid", "status", "cwd"]) if other.info["cwd"] == str(folder)]
    assert not [other for other in left if other.info["status"] not in ended]
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def test_all_trackers_at_once_keep_every_trial_and_one_that_raises_takes_nothing_along(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    done = run(tmp_path, "--track", ",".join([*BUNDLED, "mine.py"]), "--set", "train_steps=40")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        done.stdout.count("tracker 'mine' is not called again in this trial: ZeroDivisionError: float division by zero")
        == 1
    )
    assert "tracker 'wandb'" not in done.stdout
    logs = {path.stem: path.read_text() for path in (tmp_path / "results" / "logs").iterdir()}
    (raised,) = [key for key, text in logs.items() if 'values["loss"] /= 0' in text]
    trackers = tmp_path / "results" / "trackers"
    assert (trackers / "mine" / raised / "run.txt").read_text() == "tiny (seed 0)"
    for name in set(BUNDLED) - {"mlflow"}:
        assert {path.name for path in (trackers / name).iterdir()} == set(logs)
    rows = records(tmp_path)
    assert {record.status for record in rows} == {"done"}
    assert {record.training_key for record in rows} == {raised}
    assert all("--track" in record.origin["command"] for record in rows)
    assert all(record.origin["plugins"][0].startswith("doubles ") for record in rows)


@pytest.mark.usefixtures("no_report")
def test_tracked_or_not_the_results_are_the_same_and_quiet_tells_of_the_tracker(
    tmp_path: Path, mgbench: Command
) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    arguments = [*DOUBLES[:-1], "sampling_steps=1"]
    tracked = mgbench(*arguments, "--track", "mine.py", "--results", "tracked", "--quiet")
    plain = mgbench(*arguments, "--results", "plain", "--json")
    assert (tracked.code, plain.code) == (0, 0), tracked.err + plain.err
    assert tracked.out == ""
    assert "mgbench: tiny (seed 0): tracker 'mine' is not called again in this trial: ZeroDivisionError" in tracked.err
    assert not (tmp_path / "plain" / "trackers").exists()
    events = [json.loads(line) for line in plain.out.splitlines()]
    assert any(event.get("stage") == "train" and "learning_rate" in event for event in events)
    found = [sorted((tmp_path / name / "runs").glob("*/record.json")) for name in ("tracked", "plain")]
    assert [path.parent.name for path in found[0]] == [path.parent.name for path in found[1]]
    for one, other in zip(*found, strict=True):
        assert load_record(one).scores == load_record(other).scores
