import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from mgbench.record import Layout
from mgbench.report.figures.boards import CELL
from mgbench.report.figures.sheets import sample_sheet, sheet_steps, steps_sheet
from mgbench.report.figures.tradeoff import metric_panels, metric_versus
from mgbench.report.figures.training import read_curves, training_curves, training_panels
from mgbench.report.frame import read_results
from mgbench.report.style import MOST_SERIES, looks
from mgbench.report.summary import summarise
from tests.report.synthetic import STEPS, grid, record, store, store_curve, store_images

FID = "fid[digits_cnn]"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    records = grid()
    store(root, *records)
    for item in records:
        if item.recipe["seed"] == 0:
            store_images(root, item)
            store_curve(root, item)
    return root


@pytest.fixture
def frame(results):
    return read_results(results)


def curves_of(axes):
    return [line for line in axes.lines if line.get_gid() not in ("floor", "pareto") and len(line.get_xdata())]


def test_a_line_per_series_goes_through_its_means(frame):
    axes = metric_versus(frame, FID)
    summary = summarise(frame, FID, "nfe")
    assert len(curves_of(axes)) == frame["series"].nunique()
    for line, (_, points) in zip(curves_of(axes), summary.groupby("series", sort=False), strict=True):
        np.testing.assert_allclose(line.get_xdata(), points["cost"])
        np.testing.assert_allclose(line.get_ydata(), points["mean"])


def test_a_band_per_series_spans_its_interval(frame):
    axes = metric_versus(frame, FID)
    summary = summarise(frame, FID, "nfe")
    assert len(axes.collections) == frame["series"].nunique()
    corners = axes.collections[0].get_paths()[0].vertices
    first = summary[summary["series"] == summary["series"].iloc[0]]
    assert corners[:, 1].max() == pytest.approx(first["high"].max())
    assert corners[:, 1].min() == pytest.approx(first["low"].min())


def test_one_seed_has_a_line_and_no_band(tmp_path):
    axes = metric_versus(read_results(store(tmp_path, *grid(seeds=(0,)))), FID)
    assert not axes.collections
    assert curves_of(axes)


def test_the_floor_is_a_labelled_dashed_line(frame):
    axes = metric_versus(frame[frame["labels"]], FID)
    floor = next(line for line in axes.lines if line.get_gid() == "floor")
    assert floor.get_ydata()[0] == pytest.approx(6.3)
    assert floor.is_dashed()
    assert any("real images: 6.3" in text.get_text() for text in axes.texts)


def test_axes_name_unit_and_better_direction(frame):
    axes = metric_versus(frame, FID, "nfe")
    assert axes.get_xlabel() == "NFE (network forwards per image)"
    assert axes.get_ylabel() == "FID[digits_cnn] (lower is better)"
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert "higher is better" in metric_versus(frame, "accuracy[digits_cnn]").get_ylabel()


def test_series_look_the_same_in_every_figure_and_all_different(frame):
    styles = looks(frame)
    assert len({(look.colour, look.marker, str(look.dashes)) for look in styles.values()}) == len(styles)
    for metric in (FID, "kid[digits_cnn]"):
        lines = curves_of(metric_versus(frame, metric, styles=styles))
        assert [line.get_color() for line in lines] == [look.colour for look in styles.values()]


def test_labelled_and_unlabelled_methods_get_a_panel_each(frame):
    figure = metric_panels(frame, FID)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Trained with labels", "Trained without labels"]
    names = [{text.get_text() for text in axes.texts if text.get_gid() == "name"} for axes in figure.axes]
    assert names == [{"emigm", "emigm-unguided", "maskgit"}, {"emigm-unlabelled", "maskgit-unlabelled"}]


def test_numbers_at_points_are_steps_and_do_not_overlap(frame):
    figure = metric_panels(frame, FID)
    figure.draw_without_rendering()
    for axes in figure.axes:
        numbers = [text for text in axes.texts if text.get_gid() == "steps"]
        assert {text.get_text() for text in numbers} <= set(map(str, STEPS))
        boxes = [text.get_window_extent() for text in numbers]
        assert numbers
        assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])


def test_of_many_series_the_best_are_drawn_in_colour_and_the_others_counted(tmp_path):
    rows = [record("emigm", 8, recipe={"batch_size": size}, scores={FID: float(size)}) for size in range(10, 40)]
    axes = metric_versus(read_results(store(tmp_path, *rows)), FID)
    assert len(axes.get_legend().get_texts()) == MOST_SERIES
    assert any("14 more series" in text.get_text() for text in axes.texts)


@pytest.mark.parametrize("value", [-0.002, 0.0, 3e-9])
def test_a_score_may_be_negative_or_nothing(tmp_path, value):
    rows = [record("emigm", steps, scores={"kid": value / steps}, floors={"kid": -0.0001}) for steps in (1, 2, 4)]
    metric_panels(read_results(store(tmp_path, *rows)), "kid").draw_without_rendering()


def test_odd_names_are_drawn_as_they_are_written(tmp_path):
    frame = read_results(store(tmp_path, record("_$x^{2$ <b>"), record("maskgit")))
    figure = metric_panels(frame, FID)
    figure.draw_without_rendering()
    assert {text.get_text().strip() for text in figure.axes[0].texts if text.get_gid() == "name"} == {
        "_$x^{2$ <b>",
        "maskgit",
    }


def test_the_callers_axes_and_settings_are_left_alone(frame):
    before, axes = dict(mpl.rcParams), Figure().subplots()
    assert metric_versus(frame, FID, ax=axes) is axes
    assert dict(mpl.rcParams) == before


def test_training_curves_are_smoothed_and_one_per_model(results, frame):
    curves = read_curves(frame, Layout(results))
    assert set(curves["series"]) == set(frame["series"])
    assert curves.groupby("series")["loss"].last().between(0.3, 1.6).all()
    assert len(curves_of(training_curves(frame, Layout(results)))) == 5
    assert [axes.get_title(loc="left") for axes in training_panels(frame, Layout(results)).axes] == [
        "Head: diffusion(width=256)", "Head: categorical",
    ]  # fmt: skip


def test_without_curves_there_is_no_figure_of_them(tmp_path):
    assert training_panels(read_results(store(tmp_path, record())), Layout(tmp_path)) is None


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


def test_many_long_names_do_not_cover_the_figure(tmp_path):
    long = "guidance_schedule=interval(low=0.{}, high=0.9, inner=constant(scale=1.5)), solver=dpmpp(steps=16, order=3)"
    records = [record(f"method {place}, {long.format(place)}", steps) for place in range(10) for steps in (4, 16)]
    figure = metric_panels(read_results(store(tmp_path, *records)), FID)
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    for axes in figure.axes:
        assert not legend.overlaps(axes.get_window_extent())
        assert axes.get_window_extent().height > 150
