"""`mgbench run` from the first command to the report: reuse, Ctrl-C and going on, broken files, failed trials."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mgbench.cli.commands import run
from mgbench.interfaces.progress import INTERRUPTED
from mgbench.results.record import Record, load_record
from tests import doubles
from tests.cli.conftest import Command

pytestmark = pytest.mark.slow

BOTH = [
    *(
        "run",
        "--plugins",
        "emigm,maskgit",
        "--methods",
        "emigm,maskgit",
        "--devices",
        "cpu:1",
        "--vary",
        "sampling_steps=1,2",
    ),
    *("--set", "train_steps=6", "--set", "batch_size=16", "--set", "samples=20", "--set", "warmup_steps=2"),
]
DOUBLES = [
    "run",
    "--plugins",
    doubles.FILE,
    "--methods",
    "tiny",
    "--devices",
    "cpu:1",
    "--vary",
    "sampling_steps=1,2",
]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "250"}


def command(folder: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mgbench", *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def records(folder: Path) -> list[Record]:
    """Of the images of models; those about tokenizers come beside them."""
    found = [load_record(path) for path in sorted((folder / "results" / "runs").glob("*/record.json"))]
    return [record for record in found if record.about == "images"]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("run")
    return folder, command(folder, BOTH)


def test_a_study_keeps_what_it_uses_to_be_cited(
    first: tuple[Path, subprocess.CompletedProcess[str]], mgbench: Command
) -> None:
    cited = mgbench("cite", "emigm-maskgit", "--results", str(first[0] / "results"))
    assert cited.code == 0, cited.err
    for asked in ("@misc{you2025effective,", "@misc{chang2022maskgit,", "sampler maskgit", "metric fid"):
        assert asked in cited.out
    assert "@misc{li2022mage," not in cited.out


def test_both_methods_run_to_a_report(first: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, done = first
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 recipes: 4 to compute in 2 trials" in done.stdout
    assert "tokenizers: 2 to fit, 0 fitted already" in done.stdout
    assert done.stdout.index("tokenizer kmeans") < done.stdout.index("maskgit (seed 0): train")
    assert "emigm (seed 0): train" in done.stdout
    assert "FID" in done.stdout
    assert sorted((record.method, record.recipe["sampling_steps"], record.status) for record in records(folder)) == [
        *(("emigm", steps, "done") for steps in (1, 2)),
        *(("maskgit", steps, "done") for steps in (1, 2)),
    ]
    page = folder / "reports" / "emigm-maskgit" / "index.html"
    assert f"report: {page.relative_to(folder)}" in done.stdout
    text = page.read_text(encoding="utf-8")
    assert "emigm" in text
    assert "maskgit" in text
    assert not list(folder.rglob("*.corrupt"))
    assert not list(folder.rglob(".*.tmp*"))


@pytest.mark.usefixtures("no_report")
def test_run_again_everything_is_reused(first: tuple[Path, subprocess.CompletedProcess[str]], mgbench: Command) -> None:
    folder, _ = first
    before = records(folder)
    again = mgbench(*BOTH[:1], "--plugins", "maskgit,emigm", *BOTH[3:], "--results", str(folder / "results"))
    assert again.code == 0, again.out + again.err
    assert "4 recipes: 0 to compute in 0 trials (0 to train, 0 trained already), 4 reused, 0 skipped" in again.out
    assert ": train" not in again.out
    assert records(folder) == before


def test_the_table_is_shown_again_from_what_is_stored(
    first: tuple[Path, subprocess.CompletedProcess[str]], mgbench: Command
) -> None:
    folder, _ = first
    show = mgbench("show", "emigm-maskgit", "--results", str(folder / "results"))
    assert show.code == 0, show.err
    assert "maskgit" in show.out


@pytest.mark.usefixtures("no_report")
def test_a_cut_record_and_a_cut_model_are_set_aside_said_and_computed_again(
    first: tuple[Path, subprocess.CompletedProcess[str]], mgbench: Command
) -> None:
    folder, _ = first
    before = {record.key: record for record in records(folder)}
    broken = next(
        record for record in before.values() if (record.method, record.recipe["sampling_steps"]) == ("maskgit", 2)
    )
    path = folder / "results" / "runs" / broken.key / "record.json"
    model = folder / "results" / "models" / broken.training_key / "model.safetensors"
    for file in (path, model):
        file.write_bytes(file.read_bytes()[:200])
    again = mgbench(*BOTH, "--results", str(folder / "results"))
    assert again.code == 0, again.out + again.err
    assert "record.json.corrupt" in again.err
    assert "4 recipes: 1 to compute in 1 trial" in again.out
    assert path.with_name("record.json.corrupt").is_file()
    assert model.with_name("model.safetensors.corrupt").is_file()
    after = {record.key: record for record in records(folder)}
    assert after.keys() == before.keys()
    assert after[broken.key].scores == broken.scores
    assert "model.safetensors.corrupt" in again.err + again.out, "what is set aside is said"


@pytest.mark.usefixtures("no_report")
def test_failed_rows_are_told_the_rest_runs_and_the_exit_code_is_1(tmp_path: Path, mgbench: Command) -> None:
    done = mgbench(*DOUBLES, "--vary", "loss_weighting=kills,raises,not_a_number,uniform")
    assert done.code == 1, done.out + done.err
    assert "Traceback" not in done.err
    by_weighting = {record.recipe["loss_weighting"].partition("(")[0]: record for record in records(tmp_path)}
    assert {name: record.status for name, record in by_weighting.items()} == {
        "kills": "failed",
        "raises": "failed",
        "not_a_number": "diverged",
        "uniform": "done",
    }
    assert "its process was ended by SIGKILL (log: " in by_weighting["kills"].reason
    assert "RuntimeError: two tensors disagree" in by_weighting["raises"].reason
    assert "SIGKILL" in done.out
    assert "two tensors disagree" in done.out
    before = records(tmp_path)
    again = mgbench(*DOUBLES, "--vary", "loss_weighting=kills,raises,not_a_number,uniform", "--quiet")
    assert again.code == 1, "what failed is a failure until it is mended"
    assert again.out == ""
    assert records(tmp_path) == before, "and is not tried again unless that is asked for"


@pytest.mark.usefixtures("no_report")
def test_the_first_failure_stops_a_run_that_fails_fast_and_the_same_command_continues(
    tmp_path: Path, mgbench: Command
) -> None:
    command = [*DOUBLES, "--vary", "loss_weighting=raises,uniform"]
    stopped = mgbench(*command, "--fail-fast")
    assert stopped.code == 1, stopped.out + stopped.err
    assert "stopped after 1 failed trial; the same command continues with the other rows" in stopped.out
    by_status = {record.status: record.recipe["loss_weighting"] for record in records(tmp_path)}
    assert by_status["failed"].startswith("raises")
    assert "done" not in by_status
    again = mgbench(*command, "--max-failures", "1")
    assert again.code == 1
    assert "stopped" not in again.out
    assert {record.status for record in records(tmp_path)} == {"done", "failed"}


@pytest.mark.usefixtures("no_report")
def test_a_tokenizer_that_fails_is_told_with_all_that_stood_on_it(tmp_path: Path, mgbench: Command) -> None:
    arguments = [*DOUBLES, "--vary", "tokenizer=counted(failure=raises),counted(steps=2)"]
    done = mgbench(*arguments)
    assert done.code == 1, done.out + done.err
    by_tokenizer = {str(record.recipe["tokenizer"]): record for record in records(tmp_path)}
    assert [record.status for record in by_tokenizer.values()].count("failed") == 1
    assert "failed: tokenizer counted(steps=3, failure=raises): RuntimeError: no codebook" in done.out
    assert "its tokenizer failed: RuntimeError: no codebook" in done.out
    plan = mgbench("plan", "--plugins", doubles.FILE, *arguments[3:5], *arguments[7:])
    assert "tokenizer counted(steps=2)" in plan.out
    assert "2 reused, 0 skipped; tokenizers: 0 to fit, 1 fitted already; 3 failed before" in plan.out
    again = mgbench("plan", "--plugins", doubles.FILE, *arguments[3:5], *arguments[7:], "--retry-failed")
    assert "2 reused, 0 skipped; tokenizers: 1 to fit, 1 fitted already" in again.out


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize(
    ("how", "option", "status", "reason"),
    [
        ("exit", [], "failed", "its process ended before it was done"),
        ("segfault", [], "failed", "its process was ended by SIGSEGV"),
        ("hoard", ["--trial-memory", "1.5"], "oom", "--trial-memory allows 1.50 GiB"),
    ],
)
def test_a_plugin_that_misbehaves_takes_only_its_trial_down(
    tmp_path: Path, mgbench: Command, how: str, option: list[str], status: str, reason: str
) -> None:
    done = mgbench(*DOUBLES, "--vary", f"loss_weighting=misbehaves(how={how}),uniform", *option, "--quiet")
    assert done.code == 1
    found = {str(record.recipe["loss_weighting"]).partition("(")[0]: record for record in records(tmp_path)}
    assert {name: record.status for name, record in found.items()} == {"misbehaves": status, "uniform": "done"}
    assert reason in found["misbehaves"].reason
    assert f": {status}: " in done.err
    assert reason in done.err


@pytest.mark.usefixtures("no_report")
def test_events_are_told_as_json(tmp_path: Path, mgbench: Command) -> None:
    done = mgbench(*DOUBLES, "--vary", "loss_weighting=raises,uniform", "--json")
    assert done.code == 1
    events = [json.loads(line) for line in done.out.splitlines()]
    assert {event["event"] for event in events} == {"said", "stage", "row", "end"}
    trained = [event for event in events if event.get("stage") == "train"]
    assert {"trial", "key", "done", "total", "loss", "images_per_second"} <= trained[-1].keys()
    rows = {event["row"]: event["status"] for event in events if event["event"] == "row"}
    tokenizer = {event["key"] for event in events if event["event"] == "row" and event["trial"].startswith("tokenizer")}
    assert len(tokenizer) == 1
    assert {record.key: record.status for record in records(tmp_path)}.items() <= rows.items()
    assert events[-1]["text"].startswith("report: ")


def stop_in_training(
    folder: Path,
    arguments: Sequence[str],
    stop: Callable[[int, int], None] = os.killpg,
    by: int = signal.SIGINT,
    line_with: str = ": train",
) -> tuple[int, str]:
    """Run a command in a group of its own, press Ctrl-C (or stop it otherwise) after such a line, and tell how it ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mgbench", *arguments],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line_with in line:
            time.sleep(0.5)
            stop(process.pid, by)
            break
    rest, _ = process.communicate(timeout=60)
    return process.returncode, "".join(lines) + rest


@pytest.mark.parametrize(("by", "code"), [(signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_a_trial_does_not_outlive_the_command(tmp_path: Path, by: int, code: int) -> None:
    arguments = [*DOUBLES, "--set", "loss_weighting=slow(0.02)", "--set", "train_steps=100000"]
    assert stop_in_training(tmp_path, arguments, os.kill, by)[0] == code
    until = time.monotonic() + 60
    while not list((tmp_path / "results").glob("models/*/checkpoint.pt")) and time.monotonic() < until:
        time.sleep(0.2)
    while not (stopped := records(tmp_path)) and time.monotonic() < until:
        time.sleep(0.2)
    assert {record.status for record in stopped} == {"interrupted"}


# In a terminal Ctrl-C reaches every process of the group; SIGTERM, which reaches the command alone, is tested in training.
@pytest.mark.parametrize("line", ["study doubles", ": tokenize"])
def test_what_is_stopped_while_it_imports_or_fits_ends_at_once_and_claims_no_checkpoint(
    tmp_path: Path, line: str
) -> None:
    """In a step of fitting that never ends, and while the process that trials fork from still imports."""
    arguments = [*DOUBLES, "--set", "tokenizer=counted(failure='takes for ever')"]
    code, said = stop_in_training(tmp_path, arguments, line_with=line)
    assert code == 130, said
    assert "Traceback" not in said
    assert "stopping; press Ctrl-C again" in said
    assert {record.status for record in records(tmp_path)} <= {"interrupted"}
    assert not list((tmp_path / "results").rglob("checkpoint.pt"))


@pytest.mark.usefixtures("no_report")
def test_ctrl_c_in_training_leaves_a_checkpoint_and_the_same_command_goes_on(tmp_path: Path, mgbench: Command) -> None:
    arguments = [*DOUBLES, "--set", "loss_weighting=slow(0.02)", "--set", "train_steps=120"]
    code, said = stop_in_training(tmp_path, arguments)
    assert code == 130, said
    assert "Traceback" not in said
    assert "stopping: 1 training running, which will write a checkpoint" in said
    stopped = records(tmp_path)
    assert [record.status for record in stopped] == ["interrupted"] * 2
    (checkpoint,) = (tmp_path / "results" / "models").glob("*/checkpoint.pt")
    assert not list((tmp_path / "results").rglob(".*"))

    done = mgbench(*arguments)
    assert done.code == 0, done.out + done.err
    finished = records(tmp_path)
    assert [record.status for record in finished] == ["done"] * 2
    assert [record.key for record in finished] == [record.key for record in stopped]
    assert not checkpoint.exists()
    curve = (checkpoint.parent / "training.csv").read_text().splitlines()
    assert [int(line.partition(",")[0]) for line in curve[1:]] == list(range(20, 121, 20))


def test_the_report_is_imported_while_trials_run(mgbench: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = threading.Event()

    def computed(*_: object) -> int:
        assert imported.wait(60)
        return INTERRUPTED

    monkeypatch.setattr(run, "compute", computed)
    monkeypatch.setattr(run, "import_module", lambda name: imported.set() if name == "mgbench.report.writer" else None)
    assert mgbench(*DOUBLES).code == INTERRUPTED
