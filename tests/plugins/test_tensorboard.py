"""What a run told TensorBoard is in its event files."""

from pathlib import Path

import pytest

from tests.plugins.tracked import BEST, CURVE, records, run_in, track

pytest.importorskip("tensorboard", reason="TensorBoard is not installed")

from mgbench_plugins import tensorboard as plugin
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def test_the_curve_the_scores_and_the_failure_can_be_read_back(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    track(plugin, run)
    events = EventAccumulator(str(run.folder / "emigm (seed 0)"))
    events.Reload()
    loss = events.Scalars("train/loss")
    assert [(event.step, event.value) for event in loss] == list(CURVE.items())
    assert [event.value for event in events.Scalars(BEST)] == [records()[1].scores["fid[digits_cnn]"]]
    assert set(events.Tags()["scalars"]) == {
        "train/loss",
        "train/images_per_second",
        BEST,
        "fid[digits_cnn]/sampling_steps=2",
    }
    (failure,) = events.Tensors("status/sampling_steps=8/text_summary")
    assert failure.tensor_proto.string_val == [b"failed: RuntimeError: no luck"]


def test_the_table_of_hyperparameters_has_the_recipe_beside_the_scores(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    track(plugin, run)
    events = EventAccumulator(str(run.folder / "emigm (seed 0)"))
    events.Reload()
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert b"mask_schedule" in content
    assert b"exp(rate=5.0)" in content
    assert b"fid, kid" in content


def test_a_run_that_goes_on_adds_to_its_curve(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    for first, loss in ((20, 0.9), (40, 0.5)):
        plugin.mgbench_run_started(run)
        plugin.mgbench_step_logged(run, "train", first, {"loss": loss})
        plugin.mgbench_run_finished(run, [])
    events = EventAccumulator(str(run.folder / "emigm (seed 0)"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [20, 40]
