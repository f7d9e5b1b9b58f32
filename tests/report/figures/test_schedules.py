import json
from dataclasses import replace

import numpy as np

from mgbench.report.figures.schedules import mask_schedules, read_schedules, reveal_counts
from mgbench.report.figures.stages import seconds_by_stage, stage_shares
from mgbench.report.frame import read_results
from mgbench.results.layout import Layout
from tests.report.synthetic import record, store, store_schedules, tokenizer


def test_every_schedule_is_drawn_once_under_its_spec(tmp_path):
    rows = [record("emigm", 8), record("maskgit", 8)]
    rows[0].recipe["sampling_schedule"] = "linear"
    rows[1].recipe["sampling_schedule"] = "linear"
    frame = read_results(store(tmp_path, *rows))
    for row in rows:
        store_schedules(tmp_path, row)
    axes = mask_schedules(frame, Layout(tmp_path))
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["exp(rate=5.0)", "linear"]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), np.linspace(0, 1, 5) ** 2)


def test_the_counts_are_those_that_were_stored(results, frame):
    axes = reveal_counts(frame, Layout(results), 8)
    assert len(axes.lines) == frame["series"].nunique()
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [1, 1, 2])
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [1, 2, 3])


def test_what_is_not_stored_or_broken_is_left_out(tmp_path):
    item = record()
    frame = read_results(store(tmp_path, item))
    assert read_schedules(frame, Layout(tmp_path)) == {}
    (Layout(tmp_path).run(item.key) / "curves.json").write_text(json.dumps({"t": []}))
    assert read_schedules(frame, Layout(tmp_path)) == {}


def test_a_training_counts_once_for_all_rows_that_share_it(tmp_path):
    rows = [record("emigm", steps, costs={"train_seconds": 50.0, "seconds_per_image": 0.1}) for steps in (4, 8)]
    frame = read_results(store(tmp_path, *rows))
    spent = seconds_by_stage(frame)
    assert spent.loc["emigm"].to_dict() == {"train": 50.0, "sample": 100.0}, "two rows of 500 images"
    widths = [patch.get_width() for patch in stage_shares(frame).patches]
    np.testing.assert_allclose(widths, [1 / 3, 2 / 3])


def test_what_only_a_tokenizer_took_is_no_stage_of_a_model(tmp_path):
    row = record("emigm", costs={"train_seconds": 50.0, "seconds_per_image": 0.1})
    fitted = replace(tokenizer(), costs={"fit_seconds": 20.0})
    frame = read_results(store(tmp_path, row, fitted))
    assert "fit_seconds" in frame.attrs["costs"]
    assert list(seconds_by_stage(frame)) == ["train", "sample"]
