"""A run tells how far it is, and whether it is alive can be told from outside."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mgbench.engines import status as status_module
from mgbench.engines.locks import STALE
from mgbench.engines.status import Stage, StatusWriter, runs
from mgbench.interfaces.engine import End, Event, Job, RowEnded, StageProgress
from mgbench.results.layout import Layout
from mgbench.results.schema import seal, unseal


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_module, "WRITE_EVERY", -1.0)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


@pytest.fixture
def board(layout: Layout) -> Iterator[StatusWriter]:
    board = StatusWriter(layout, "mine", "mgbench run --plugins mine", 4)
    with board.updating():
        yield board


def job(name: str) -> Job:
    return Job(name, f"key of {name}", "images", "", (), (), Path())


def train(done: int, stage: str = "train") -> StageProgress:
    return StageProgress(stage, done, 100, measured={"loss": 1.5, "images_per_second": 32.0})


def test_a_run_tells_what_its_trials_are_at(layout: Layout, board: StatusWriter) -> None:
    board.show(Event(job("a"), train(20)))
    board.show(Event(job("b"), train(40)))
    board.show(Event(job("a"), RowEnded("k", "done")))
    board.show(Event(job("b"), End()))
    ((found, alive),) = runs(layout, "mine")
    assert alive
    assert (found.study, found.command, found.rows, found.ended) == ("mine", "mgbench run --plugins mine", 4, 1)
    assert found.holder.process == os.getpid()
    assert [(stage.trial, stage.stage, stage.done, stage.loss) for stage in found.stages.values()] == [
        ("a", "train", 20, 1.5)
    ]


def test_time_left_is_counted_from_where_the_stage_began() -> None:
    stage = Stage("a", "train", done=60, total=100, begun=1000.0, first=20)
    assert stage.seconds_left(1080.0) == pytest.approx(80)
    assert Stage("a", "train", 20, 100, 1000.0, 20).seconds_left(1080.0) is None


def test_a_stage_that_begins_anew_is_counted_anew(layout: Layout, board: StatusWriter) -> None:
    for message in (train(20), train(60), train(20, "sample"), train(80, "sample"), train(10, "sample")):
        board.show(Event(job("a"), message))
        last = next(iter(runs(layout)[0][0].stages.values()))
        assert (last.stage, last.done) == (message.stage, message.done)
    assert last.first == 10, "the next row is sampled"


def test_one_that_has_ended_says_how_and_is_forgotten_when_the_study_runs_again(layout: Layout) -> None:
    first = StatusWriter(layout, "mine", "", 1)
    with first.updating():
        first.ended(130)
    ((found, alive),) = runs(layout)
    assert (found.exit_code, alive, found.stages) == (130, False, {})
    with StatusWriter(layout, "other", "", 1).updating():
        assert len(runs(layout)) == 2
        second = StatusWriter(layout, "mine", "", 1)
        with second.updating():
            assert [run.holder.token for run, _ in runs(layout, "mine")] == [second.status.holder.token]


def test_two_at_once_are_both_told(layout: Layout, board: StatusWriter) -> None:
    with StatusWriter(layout, "mine", "", 1).updating():
        assert [alive for _, alive in runs(layout, "mine")] == [True, True]


@pytest.mark.parametrize(("changes", "age"), [({"process": 2**22 + 1}, 0), ({"machine": "other"}, STALE + 60)])
def test_one_that_died_is_told_so(layout: Layout, board: StatusWriter, changes: dict[str, object], age: float) -> None:
    (path,) = layout.runs_at_work.glob("*.json")
    content = unseal(path.read_text())
    content["holder"] |= changes
    path.write_text(seal(content))
    os.utime(path, (path.stat().st_mtime - age,) * 2)
    assert [alive for _, alive in runs(layout)] == [False]


def test_what_is_no_status_is_passed_over(layout: Layout, board: StatusWriter) -> None:
    (layout.runs_at_work / "cut.json").write_text("{")
    (layout.runs_at_work / "other.json").write_text(seal({"study": "x"}))
    assert len(runs(layout)) == 1
