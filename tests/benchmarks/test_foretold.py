"""What a plan foretells and what the trial takes are of the same clock and the same trial."""

import itertools
import time
from pathlib import Path

import pytest

from benchmarks import foretold
from mgbench.recipes.study import Study
from mgbench.registry.loading import find, load
from mgbench.results.speed import stored_speeds
from mgbench.results.store import Store
from mgbench.stages import cost
from mgbench.trials.plan import plan_rows, plan_trials
from tests import doubles
from tests.doubles import TINY


def test_a_trial_is_foretold_from_the_speed_that_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that goes on by a second whenever it is read, all measured works take one."""
    ticks = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))
    monkeypatch.setattr(foretold, "ROUNDS", 1)
    assert cost.clock(foretold.CPU) + 1 == cost.clock(foretold.CPU)
    store = Store(tmp_path)
    study = Study("s", {"tiny": TINY}, {"sampling_steps": (2,)})
    (trial,) = plan_trials(plan_rows(load([find(doubles.FILE)]), study, store))
    speed, planned = foretold.foretold(store, "tiny", trial)
    assert [one.key for one in stored_speeds(store.layout)] == [speed.key]
    assert speed.costs["train_step_seconds"] == 1
    # Six steps of 16 images at 16 a second; 20 images at a sixteenth of a second each; a second of metrics, and one of features
    # for each 20 images.
    assert planned.train == 6
    assert planned.sample == pytest.approx(20 / 16)
    assert planned.score == pytest.approx(2)
