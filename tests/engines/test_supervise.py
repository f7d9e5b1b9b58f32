"""What is recorded of rows whose trial ended without a word."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mgbench.engines.supervise import supervise
from mgbench.interfaces.engine import End, Event, Job, RowEnded
from mgbench.recipes.study import Study
from mgbench.registry.loading import find, load
from mgbench.results.store import Store
from mgbench.trials.plan import Trial, plan_rows, plan_trials
from tests import doubles
from tests.doubles import TINY


class Told:
    """An engine that tells what it is told to."""

    def __init__(self, *tells: RowEnded | End) -> None:
        self.tells = tells

    def run(self, jobs: Sequence[Job]) -> Iterator[Event]:
        for message in self.tells:
            yield Event(jobs[0], message)

    def stop(self) -> None: ...

    def kill(self) -> None: ...


def as_job(trial: Trial) -> Job:
    return Job(trial.name, trial.key, trial.about, trial.needs, (), (), Path())


def planned(root: Path) -> tuple[Store, Trial]:
    store = Store(root)
    study = Study("s", {"m": TINY}, {"sampling_steps": (1, 2, 3)})
    (trial,) = plan_trials(plan_rows(load([find(doubles.FILE)]), study, store))
    return store, trial


@pytest.mark.parametrize(
    ("end", "status", "reason"),
    [
        (End("failed", "its process was ended by SIGKILL"), "failed", "its process was ended by SIGKILL"),
        (End("timeout", "too long"), "timeout", "too long"),
        (End(), "failed", "its process ended before it was done"),
    ],
)
def test_rows_that_said_nothing_are_recorded_with_the_end_and_the_log(
    tmp_path: Path, end: End, status: str, reason: str
) -> None:
    store, trial = planned(tmp_path)
    done, failed, silent = trial.rows
    log = store.layout.log(trial.key)
    log.parent.mkdir()
    log.write_text("begun\n" + "Fatal Python error: Segmentation fault\n  in loss\n" * 9)
    # Another run has finished it meanwhile; this one was stopped in it earlier; the third failed by itself in this run.
    store.save_record(done.record("done"))
    store.save_record(failed.record("failed", "RuntimeError: its own"))
    store.save_record(silent.record("interrupted", "earlier"))
    shown: list[Event] = []
    supervise(Told(RowEnded(failed.key, "failed"), end), store, [trial], as_job, shown.append)
    records = {row.key: store.record(row.key) for row in trial.rows}
    said = {key: (record.status, record.reason) for key, record in records.items() if record}
    assert said == {
        done.key: ("done", ""),
        failed.key: ("failed", "RuntimeError: its own"),
        silent.key: (status, f"{reason} (log: {log})"),
    }
    tails = [record.tail for record in records.values() if record]
    assert tails[:2] == ["", ""]
    assert tails[2].splitlines() == log.read_text().splitlines()[-12:]
    assert shown[-1].end == End(status, reason)  # type: ignore[arg-type]


def test_a_trial_whose_rows_all_spoke_ended_well(tmp_path: Path) -> None:
    store, trial = planned(tmp_path)
    shown: list[Event] = []
    tells = [RowEnded(row.key, "failed") for row in trial.rows]
    supervise(Told(*tells, End("failed", "late")), store, [trial], as_job, shown.append)
    assert shown[-1].end == End()
    assert [store.record(row.key) for row in trial.rows] == [None] * 3
