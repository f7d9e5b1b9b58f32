"""A study takes no rows from another of its default name without a word."""

from pathlib import Path

import pytest

from mgbench.results.record import Record, StudyView, load_study
from mgbench.results.store import Store
from tests import doubles
from tests.cli.conftest import Command

OPTIONS = ("--plugins", doubles.FILE, "--methods", "tiny", "--vary", "sampling_steps=1")


@pytest.fixture
def stored(tmp_path: Path) -> Store:
    store = Store(tmp_path / "results")
    rows = (("gone1", "done"), ("gone2", "done"), ("gone3", "done"), ("gone4", "failed"))
    for key, status in rows:
        store.save_record(Record(key, "model", "tiny", status, {}))  # type: ignore[arg-type]
    views = (("gone1", "tiny"), ("gone2", "tiny"), ("gone4", "tiny"), ("never", "tiny"))
    store.save_study(StudyView("doubles", views, "mgbench run --plugins doubles"))
    return store


def test_a_study_of_which_nothing_is_done_has_nothing_to_lose(mgbench: Command, stored: Store) -> None:
    stored.save_study(StudyView("doubles", (("gone4", "tiny"), ("never", "tiny")), "mgbench run"))
    answer = mgbench("plan", *OPTIONS)
    assert answer.code == 0
    assert "rows are not part of it any more" not in answer.err
    assert "doubles-2" not in answer.out


def test_another_experiment_gets_another_name_and_says_so(mgbench: Command, stored: Store) -> None:
    answer = mgbench("plan", *OPTIONS)
    assert "study doubles-2" in answer.out
    assert "this study is called doubles-2, because doubles has 2 rows that would be dropped" in answer.err
    stored.save_study(StudyView("doubles-2", (("gone3", "tiny"),), "mgbench run"))
    assert "study doubles-3" in mgbench("plan", *OPTIONS).out


def test_a_name_that_is_given_is_taken_and_what_is_lost_is_said(mgbench: Command, stored: Store) -> None:
    answer = mgbench("plan", *OPTIONS, "--name", "doubles")
    assert "study doubles\n" in answer.out.replace(" ", "").replace("study", "study ")
    assert "study doubles: 2 of its rows are not part of it any more" in answer.err


@pytest.mark.parametrize("command", [["mgbench", "run", *OPTIONS], ["mgbench", "plan", *OPTIONS]])
def test_the_same_command_is_the_same_study(mgbench: Command, stored: Store, command: list[str]) -> None:
    import shlex

    stored.save_study(StudyView("doubles", (("gone1", "tiny"),), shlex.join(command)))
    answer = mgbench("plan", *OPTIONS)
    assert answer.code == 0
    assert "rows are not part of it any more" not in answer.err
    assert "doubles-2" not in answer.out


def test_a_study_that_grows_keeps_its_name(mgbench: Command, tmp_path: Path) -> None:
    import json

    store = Store(tmp_path / "results")
    planned = json.loads(mgbench("plan", *OPTIONS, "--json").out)
    store.save_study(StudyView("doubles", tuple((row["key"], row["method"]) for row in planned["rows"]), "mgbench run"))
    answer = mgbench("plan", *OPTIONS[:-1], "sampling_steps=1,2")
    assert answer.code == 0
    assert "not part of it any more" not in answer.err
    assert load_study(store.layout.study("doubles")).name == "doubles"


def test_rows_are_told_by_what_tells_them_apart(tmp_path: Path) -> None:
    from mgbench.cli.study.naming import row_names
    from mgbench.recipes.study import Study
    from mgbench.registry.loading import find, load
    from mgbench.trials.plan import plan_rows, plan_trials

    vary = {"time_grid": ("uniform", "cosine"), "sampling_steps": (2, 4)}
    many = Study("s", {"one": doubles.TINY, "two": doubles.TINY.change(guidance_schedule="constant(2)")}, vary)
    (trial,) = plan_trials(plan_rows(load([find(doubles.FILE)]), many, Store(tmp_path)))
    assert trial.name == "one + two (seed 0)"
    assert sorted(set(row_names([trial]).values())) == [
        *("one (seed 0, time_grid=cosine)", "one (seed 0, time_grid=uniform)"),
        *("two (seed 0, time_grid=cosine)", "two (seed 0, time_grid=uniform)"),
    ]
    five = Study("s", {f"m{number}": doubles.TINY.change(sampling_steps=number) for number in range(1, 6)})
    (trial,) = plan_trials(plan_rows(load([find(doubles.FILE)]), five, Store(tmp_path)))
    assert trial.name == "m1 and 4 more (seed 0)"
