"""What trackers are told, in plain values."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import PartialState
from accelerate.logging import get_logger
from accelerate.state import AcceleratorState

from mgbench.errors import UserError
from mgbench.interfaces.tracking import Accelerated, file_name, outcomes, scores, settings
from mgbench.results.record import Record
from tests.plugins.tracked import FID, records, run_in


def row(method: str, **recipe: object) -> Record:
    return Record("k", "t", method, "done", recipe, scores={FID: 3.0})


def test_settings_are_plain_and_leave_out_what_nothing_asks(tmp_path: Path) -> None:
    said = settings(run_in(tmp_path))
    assert said["mask_schedule"] == "exp(rate=5.0)"
    assert said["metrics"] == "fid, kid"
    assert said["train_steps"] == 60
    assert said["labels"] is True
    assert said["methods"] == "emigm"
    assert "head" not in said


def test_scores_are_named_by_what_tells_the_rows_apart() -> None:
    assert scores(records()) == {f"{FID}/sampling_steps=2": 30.5, f"{FID}/sampling_steps=4": 12.25}
    assert scores(records()[:1]) == {FID: 30.5}
    several = [
        row("one", sampler="a", metrics=["fid"], seed=None),
        row("two", sampler="a", metrics=["fid"], seed=None),
        row("two", sampler="b", metrics=["fid"], seed=None),
    ]
    names = [
        f"{FID}/method={method}, sampler={sampler}" for method, sampler in (("one", "a"), ("two", "a"), ("two", "b"))
    ]
    assert list(scores(several)) == names
    assert scores([]) == {}


def test_rows_that_are_not_done_say_why() -> None:
    assert outcomes(records()) == {"status/sampling_steps=8": "failed: RuntimeError: no luck"}
    assert outcomes([replace(records()[2], status="interrupted", reason="stopped")]) == {
        "status": "interrupted: stopped"
    }


def test_a_run_s_name_is_a_file_s(tmp_path: Path) -> None:
    run = replace(run_in(tmp_path), name=f"tokenizer vq(weights='/a/b\\c')/{'x' * 300}")
    (tmp_path / file_name(run)).touch()
    assert "tokenizer vq" in file_name(run)


def test_a_library_that_is_missing_is_told_with_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nobody_has_it is not installed; pip install 'mgbench\[tracking\]'"):
        Accelerated("nobody_has_it").start(run_in(tmp_path), lambda: pytest.fail("it is not made"))


class Logging:
    """As accelerate's own trackers do, it says something to accelerate's log, which refuses where the process is unknown."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def start(self) -> None:
        self.log("start")

    def log(self, text: str) -> None:
        get_logger(__name__).debug(text)
        self.said.append(text)


def test_a_tracker_is_ready_again_after_a_training_that_left_the_process_unknown(tmp_path: Path) -> None:
    run, trackers = run_in(tmp_path), Accelerated("accelerate")
    AcceleratorState._reset_state(reset_partial_state=True)
    tracker = trackers.start(run, Logging)
    assert PartialState().device == torch.device("cpu")
    AcceleratorState._reset_state(reset_partial_state=True)
    with pytest.raises(RuntimeError, match="accelerate state"):
        tracker.log("unknown")
    trackers.of(run).log("known")
    assert tracker.said == ["start", "known"]
    with pytest.raises(KeyError):
        trackers.of(replace(run, key="another"))
