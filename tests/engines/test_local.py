"""Trials in processes of their own: one that dies takes nothing along, and all of them end when they are asked to."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mgbench.engines.local import Event, LocalEngine, why_it_died
from mgbench.engines.worker import Job
from mgbench.plan import plan_rows, plan_trials
from mgbench.plugins import find, load
from mgbench.progress import INTERRUPTED
from mgbench.recipe import Recipe
from mgbench.store import CHECKPOINT, Store
from mgbench.study import Study
from tests import doubles
from tests.doubles import TINY

SOURCES = (find(doubles.FILE),)


def jobs(root: Path, **recipes: Recipe) -> list[Job]:
    store = Store(root)
    trials = plan_trials(plan_rows(load(SOURCES), Study("s", recipes), store))
    return [
        Job(
            trial.name,
            trial.key,
            trial.about,
            trial.needs,
            tuple((row.method, row.assembly.recipe) for row in trial.rows),
            SOURCES,
            root,
            "cpu",
            250,
            store.layout.log(trial.key),
        )
        for trial in trials
    ]


def run(
    engine: LocalEngine, waiting: list[Job], note: Callable[[Event], None] = lambda event: None
) -> tuple[list[Event], dict[str, int]]:
    """All events, and how every process ended."""
    events = []
    for event in engine.run(waiting):
        note(event)
        events.append(event)
    return events, {event.job.name.split()[0]: event.exit_code for event in events if event.exit_code is not None}


def statuses(root: Path) -> list[str]:
    records = [Store(root).record(path.name) for path in (root / "runs").iterdir()]
    return sorted(record.status for record in records if record)


def test_a_process_that_is_killed_takes_no_other_along(tmp_path: Path) -> None:
    waiting = jobs(
        tmp_path, killed=TINY.change(loss_weighting="kills"), fine=TINY, raising=TINY.change(loss_weighting="raises")
    )
    events, ended = run(LocalEngine(["cpu", "cpu"]), waiting)
    assert ended == {"killed": -9, "fine": 0, "raising": 0}
    assert why_it_died(ended["killed"]) == "its process was ended by SIGKILL"
    told = {event.job.name.split()[0]: event.values["status"] for event in events if "row" in event.values}
    assert told == {"fine": "done", "raising": "failed"}
    assert statuses(tmp_path) == ["done", "failed"]
    assert any(event.values.get("stage") == "train" for event in events)
    logs = {job.name.split()[0]: job.log for job in waiting}
    assert "RuntimeError: two tensors disagree" in logs["raising"].read_text()


def test_asked_to_stop_the_running_end_with_a_checkpoint_and_no_more_start(tmp_path: Path) -> None:
    slow = TINY.change(loss_weighting="slow(0.02)", train_steps=5000)
    waiting = jobs(tmp_path, first=slow, second=slow.change(batch_size=8), third=slow.change(batch_size=4))
    engine = LocalEngine(["cpu", "cpu"])
    training: set[str] = set()

    def stop_when_both_train(event: Event) -> None:
        if event.values.get("stage") == "train":
            training.add(event.job.name)
        if len(training) == 2:
            engine.stop()

    _, ended = run(engine, waiting, stop_when_both_train)
    assert ended == {"first": INTERRUPTED, "second": INTERRUPTED}
    assert statuses(tmp_path) == ["interrupted", "interrupted"]
    assert len(list((tmp_path / "models").glob(f"*/{CHECKPOINT}"))) == 2


def test_killed_the_running_end_at_once(tmp_path: Path) -> None:
    engine = LocalEngine(["cpu"])
    waiting = jobs(tmp_path, first=TINY.change(loss_weighting="slow(60)"), second=TINY)
    start = engine._start

    def start_and_kill(job: Job) -> None:
        start(job)
        engine.kill()

    engine._start = start_and_kill  # type: ignore[method-assign]
    _, ended = run(engine, waiting)
    assert ended == {"first": -9}


def test_every_trial_has_a_device_and_gives_it_back(tmp_path: Path) -> None:
    waiting = jobs(tmp_path, a=TINY, b=TINY.change(batch_size=8), c=TINY.change(batch_size=4))
    events, ended = run(LocalEngine(["cpu"]), waiting)
    assert set(ended.values()) == {0}
    assert {event.job.device for event in events} == {"cpu"}
    order = list(dict.fromkeys(event.job.name for event in events))
    ends = [event.job.name for event in events if event.exit_code is not None]
    assert order == ends, "with one slot a trial starts when the one before has ended"


def test_a_job_waits_for_the_one_it_needs_and_others_do_not(tmp_path: Path) -> None:
    first, second, third = jobs(tmp_path, a=TINY, b=TINY.change(batch_size=8), c=TINY.change(batch_size=4))
    waiting = [replace(first, needs=third.key), replace(second, needs="nothing that is to be run"), third]
    events, ended = run(LocalEngine(["cpu", "cpu"]), waiting)
    assert set(ended.values()) == {0}
    told = [(event.job.name.split()[0], event.exit_code is None) for event in events]
    assert told.index(("a", True)) > told.index(("c", False))
    assert told.index(("b", True)) < told.index(("c", False))


def test_nothing_to_do_is_nothing_done() -> None:
    assert list(LocalEngine(["cpu"]).run([])) == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (-9, "its process was ended by SIGKILL"),
        (-15, "its process was ended by SIGTERM"),
        (1, "its process ended with exit code 1"),
        (-62, "62"),
    ],
)
def test_an_exit_code_is_told_in_words(code: int, said: str) -> None:
    assert said in why_it_died(code)
