import numpy as np

from mgbench.report.figures.image_grid import CELL
from mgbench.report.figures.sheets import sample_sheet, sheet_steps, steps_sheet
from mgbench.report.frame import read_results
from mgbench.results.layout import Layout
from tests.report.synthetic import STEPS, record, store


def test_a_sheet_has_a_row_per_series_under_real_images_and_a_column_per_class(results, frame):
    axes = sample_sheet(frame, Layout(results), sheet_steps(frame)).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[:4] == ["real images", "emigm", "emigm-unguided", "emigm-unlabelled\n(no labels)"]
    assert [label.get_text() for label in axes.get_xticklabels()] == list("0123456789")
    board = axes.images[0].get_array()
    random = np.random.default_rng(0).integers(0, 256, (20, 1, 8, 8), np.uint8)
    times = -(-CELL // 8)
    np.testing.assert_array_equal(board[: 8 * times : times, : 8 * times : times, 0], 255 - random[0, 0])


def test_a_sheet_of_steps_has_a_row_per_number_of_steps(results, frame):
    axes = steps_sheet(frame, Layout(results), "emigm").axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["real images", "1 step", *(f"{steps} steps" for steps in STEPS[1:])]


def test_without_or_with_broken_images_there_is_no_sheet(tmp_path):
    item = record()
    frame = read_results(store(tmp_path, item))
    assert sample_sheet(frame, Layout(tmp_path)) is None
    (Layout(tmp_path).run(item.key) / "images.npz").write_bytes(b"PK cut short")
    assert sample_sheet(frame, Layout(tmp_path)) is None


def test_the_nearest_training_images_stand_beneath_each_row_on_request(results, frame):
    axes = sample_sheet(frame, Layout(results), 32, neighbours=True).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[:4] == ["real images", "emigm", "nearest in training", "emigm-unguided"]
    board = np.asarray(axes.images[0].get_array())
    middle = round(axes.get_yticks()[2])
    assert board[middle, 5].tolist() == [7, 7, 7, 255]
    assert "nearest in training" not in [
        label.get_text() for label in sample_sheet(frame, Layout(results), 32).axes[0].get_yticklabels()
    ]
