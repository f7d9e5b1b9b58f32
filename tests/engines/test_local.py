"""Trials in processes of their own: one that dies takes nothing along, and all of them end when they are asked to."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mgbench.engines import local as engine
from mgbench.engines.local import LocalRun
from mgbench.engines.resources import why_it_died
from mgbench.engines.supervise import supervise
from mgbench.interfaces.engine import End, Event, Job, Leases
from mgbench.interfaces.progress import STOPPED_BY_USER
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.study import Study
from mgbench.registry.loading import find, load
from mgbench.results.store import CHECKPOINT, Store
from mgbench.trials.plan import Trial, plan_rows, plan_trials
from tests import doubles
from tests.doubles import TINY
from tests.messages import at, notes, rows, stages

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
        )
        for trial in trials
    ]


def run(
    engine: LocalRun, waiting: list[Job], note: Callable[[Event], None] = lambda event: None
) -> tuple[list[Event], dict[str, End]]:
    """All events, and how every job ended."""
    events = []
    for event in engine.run(waiting):
        note(event)
        events.append(event)
    return events, {event.job.name.split()[0]: event.end for event in events if event.end is not None}


def local(slots: int, memory: float | None = None) -> LocalRun:
    return LocalRun(Leases(f"cpu:{slots}", 1, memory=memory))


def statuses(root: Path) -> list[str]:
    records = [Store(root).record(path.name) for path in (root / "runs").iterdir()]
    return sorted(record.status for record in records if record)


def test_a_process_that_is_killed_takes_no_other_along(tmp_path: Path) -> None:
    waiting = jobs(
        tmp_path, killed=TINY.change(loss_weighting="kills"), fine=TINY, raising=TINY.change(loss_weighting="raises")
    )
    events, ended = run(local(2), waiting)
    assert ended == {
        "killed": End("failed", "its process was ended by SIGKILL"),
        "fine": End(),
        "raising": End(),
    }
    told = {event.job.name.split()[0]: row.status for event in events for row in rows([event])}
    assert told == {"fine": "done", "raising": "failed"}
    assert statuses(tmp_path) == ["done", "failed"]
    assert stages(events, "train")
    logs = {job.name.split()[0]: job.log for job in waiting}
    assert "RuntimeError: two tensors disagree" in logs["raising"].read_text()


def test_asked_to_stop_the_running_end_with_a_checkpoint_and_no_more_start(tmp_path: Path) -> None:
    slow = TINY.change(loss_weighting="slow(0.02)", train_steps=5000)
    waiting = jobs(tmp_path, first=slow, second=slow.change(batch_size=8), third=slow.change(batch_size=4))
    stopped = local(2)
    training: set[str] = set()

    def stop_when_both_train(event: Event) -> None:
        if at(event, "train"):
            training.add(event.job.name)
        if len(training) == 2:
            stopped.stop()

    _, ended = run(stopped, waiting, stop_when_both_train)
    assert ended == {name: End("interrupted", STOPPED_BY_USER) for name in ("first", "second")}
    assert statuses(tmp_path) == ["interrupted", "interrupted"]
    assert len(list((tmp_path / "models").glob(f"*/{CHECKPOINT}"))) == 2


def test_killed_the_running_end_at_once(tmp_path: Path) -> None:
    killed = local(1)
    waiting = jobs(tmp_path, first=TINY.change(loss_weighting="slow(60)"), second=TINY)
    start = killed._start

    def start_and_kill(job: Job) -> None:
        start(job)
        killed.kill()

    killed._start = start_and_kill  # type: ignore[method-assign]
    _, ended = run(killed, waiting)
    assert ended == {"first": End("interrupted", "its process was ended by SIGKILL")}


def limit(running: LocalRun, seconds: float | None) -> None:
    """Change the time that trials may take, so that it ends at an event and not by the speed of the machine."""
    running._leases = replace(running._leases, seconds=seconds)


def test_what_takes_too_long_is_told_to_end_and_leaves_a_checkpoint(tmp_path: Path) -> None:
    waiting = jobs(tmp_path, slow=TINY.change(loss_weighting="slow(0.02)", train_steps=100000))
    limited = local(1)
    _, ended = run(limited, waiting, lambda event: limit(limited, 0.5) if at(event, "train") else None)
    reason = "it took longer than --trial-timeout allows (0.5 s); its checkpoint is kept"
    assert ended == {"slow": End("timeout", reason)}
    assert len(list((tmp_path / "models").glob(f"*/{CHECKPOINT}"))) == 1


def test_what_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "PATIENCE", 1.0)
    waiting = jobs(tmp_path, deaf=TINY.change(loss_weighting="misbehaves(how=loop)"), fine=TINY)
    limited = local(1)

    def limit_the_deaf_one(event: Event) -> None:
        if event.job.name.startswith("deaf"):
            limit(limited, None if event.end else 0.5)

    _, ended = run(limited, waiting, limit_the_deaf_one)
    assert ended["deaf"].status == "timeout"
    assert ended["fine"] == End(), "the slot is free again"


def test_what_takes_too_much_memory_is_ended(tmp_path: Path) -> None:
    waiting = jobs(tmp_path, hoarder=TINY.change(loss_weighting="misbehaves(how=hoard)"), fine=TINY)
    _, ended = run(local(2, memory=1.5 * 2**30), waiting)
    assert ended["hoarder"].status == "oom"
    assert "GiB of memory, and --trial-memory allows 1.50 GiB" in ended["hoarder"].reason
    assert ended["fine"] == End()


def test_all_together_may_not_fill_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest is ended by us, before the system ends whichever it likes."""
    monkeypatch.setattr(engine, "memory_of_machine", lambda: 3 * 2**30)
    waiting = jobs(
        tmp_path,
        hoarder=TINY.change(loss_weighting="misbehaves(how=hoard)"),
        small=TINY.change(loss_weighting="slow(0.02)", train_steps=60),
    )
    _, ended = run(local(2), waiting)
    assert ended["hoarder"].status == "oom"
    assert "all trials of this machine together may hold 2.70 GiB" in ended["hoarder"].reason
    assert ended["small"] == End()


def test_a_crash_leaves_in_the_log_where_it_was(tmp_path: Path) -> None:
    (job,) = jobs(tmp_path, crashing=TINY.change(loss_weighting="misbehaves(how=segfault)"))
    _, ended = run(local(1), [job])
    assert ended == {"crashing": End("failed", "its process was ended by SIGSEGV")}
    assert "in loss" in job.log.read_text()


def test_every_trial_has_a_device_and_gives_it_back(tmp_path: Path) -> None:
    waiting = jobs(tmp_path, a=TINY, b=TINY.change(batch_size=8), c=TINY.change(batch_size=4))
    events, ended = run(local(1), waiting)
    assert set(ended.values()) == {End()}
    order = list(dict.fromkeys(event.job.name for event in events))
    ends = [event.job.name for event in events if event.end is not None]
    assert order == ends, "with one slot a trial starts when the one before has ended"


def test_a_job_waits_for_the_one_it_needs_and_others_do_not(tmp_path: Path) -> None:
    first, second, third = jobs(tmp_path, a=TINY, b=TINY.change(batch_size=8), c=TINY.change(batch_size=4))
    waiting = [replace(first, needs=(third.key,)), replace(second, needs=("nothing that is to be run",)), third]
    events, ended = run(local(2), waiting)
    assert set(ended.values()) == {End()}
    told = [(event.job.name.split()[0], event.end is None) for event in events]
    assert told.index(("a", True)) > told.index(("c", False))
    assert told.index(("b", True)) < told.index(("c", False))


def test_what_another_run_computes_is_waited_for_and_used(tmp_path: Path) -> None:
    """Two runs of one study at once: each trains one of two models while the other run trains the other, and both end
    with all rows.
    """
    slow = TINY.change(loss_weighting="slow(0.02)", train_steps=200)
    waiting = jobs(tmp_path, a=slow, b=slow.change(batch_size=8))
    events: dict[str, list[Event]] = {"one": [], "other": []}

    def go(name: str) -> None:
        events[name] += local(1).run(waiting)

    runs = [threading.Thread(target=go, args=(name,)) for name in events]
    for thread in runs:
        thread.start()
    for thread in runs:
        thread.join(120)
    for told in events.values():
        done = [event.job.name[0] for event in told for row in rows([event]) if row.status == "done"]
        assert sorted(done) == ["a", "b"]
        assert {event.end for event in told if event.end} == {End()}
    trained = [
        [event.job.name[0] for event in told if any(stage.done == 20 for stage in stages([event], "train"))]
        for told in events.values()
    ]
    assert sorted(trained) == [["a"], ["b"]]
    assert any("computes it already; waiting for that" in note for told in events.values() for note in notes(told))
    assert list((tmp_path / "locks").iterdir()) == []


def test_nothing_to_do_is_nothing_done() -> None:
    assert list(local(1).run([])) == []


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


PLUGIN = """
from dataclasses import dataclass
from mgbench.hookspecs import hookimpl

@dataclass(frozen=True)
class Slow:
    \"\"\"Shares that fall as t does.\"\"\"
    def __call__(self, t):
        return t ** 1

@hookimpl
def mgbench_mask_schedules():
    return {"slow": Slow}
"""


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda text: text.replace("t ** 1", "t ** 2"), "was changed while the run went on, so that nothing of this"),
        (lambda text: text + "def broken(:", "it did load when this run began, so it was changed meanwhile"),
    ],
)
def test_a_plugin_that_is_edited_while_a_run_goes_on_is_named(
    tmp_path: Path, edit: Callable[[str], str], said: str
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)
    sources, store = (find(str(file)),), Store(tmp_path / "results")
    trial = plan_trials(plan_rows(load(sources), Study("s", {"m": TINY.change(mask_schedule="slow")}), store))[0]
    file.write_text(edit(PLUGIN))
    recipes = tuple((row.method, row.assembly.recipe) for row in trial.rows)
    planned = tuple(row.key for row in trial.rows)

    def as_job(trial: Trial) -> Job:
        return Job(
            trial.name, trial.key, "images", (), recipes, sources, store.root, planned=planned, code=("as planned",)
        )

    shown: list[Event] = []
    supervise(local(1), store, [trial], as_job, shown.append)
    record = store.record(trial.rows[0].key)
    assert record is not None
    assert record.status == "interrupted", "the same command computes it"
    assert str(file) in record.reason
    assert said in record.reason
    assert "run the same command again" in record.reason
    assert [row.reason for row in rows(shown)] == [record.reason]
    assert len(list((store.root / "runs").iterdir())) == 1, "nothing of the edited plugin was computed"
