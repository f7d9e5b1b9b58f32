import itertools

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from mgbench.report.figures import gallery
from mgbench.report.figures.axes import scale_height
from mgbench.report.figures.labels import spread
from mgbench.report.figures.tradeoff import MOST_PANELS, metric_panels, metric_versus
from mgbench.report.frame import read_results
from mgbench.report.stored import Choices, read_stored
from mgbench.report.style import (
    COLOURS,
    DARK,
    LIGHT,
    MOST_SERIES,
    PAPER,
    SCREEN,
    contrast,
    looks,
    on_dark,
    on_paper,
    readable,
)
from mgbench.report.summary import comparable, pareto, reconstruction_floors, summarise
from tests.report.synthetic import MANY, STEPS, grid, many, record, store, sweep, tokenizer

FID = "fid[digits_cnn]"


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
    bands = [part for part in axes.collections if part.get_gid() != "ambiguous"]
    assert len(bands) == frame["series"].nunique()
    corners = bands[0].get_paths()[0].vertices
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
    assert axes.get_ylabel() == "FID[digits_cnn] (N = 500, lower is better)"
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert "higher is better" in " ".join(metric_versus(frame, "accuracy[digits_cnn]").get_ylabel().split())


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
    assert len({text.get_text() for text in axes.texts if text.get_gid() == "name"}) == MOST_SERIES
    assert any("14 more series" in text.get_text() for text in axes.texts)


@pytest.mark.parametrize("value", [-0.002, 0.0, 3e-9])
def test_a_score_may_be_negative_or_nothing(tmp_path, value):
    rows = [record("emigm", steps, scores={"kid": value / steps}, floors={"kid": -0.0001}) for steps in (1, 2, 4)]
    metric_panels(read_results(store(tmp_path, *rows)), "kid").draw_without_rendering()


def height_for(values, floors=()):
    axes = Figure().subplots()
    scale_height(axes, pd.Series(values, dtype=float), floors)
    return axes


def test_the_height_is_logarithmic_linear_or_both_as_the_values_have_it():
    assert height_for([1, 2, 3]).get_yscale() == "linear"
    assert height_for([1, 20]).get_yscale() == "log"
    assert height_for([0.2, 2], [-0.01]).get_yscale() == "linear", "a logarithmic axis has no place for the floor"
    for values, floors in (([0.001, 1], [-0.002]), ([-0.002, 0.004, 1], ()), ([0.0, 0.001, 1], ())):
        axes = height_for(values, floors)
        assert axes.get_yscale() == "symlog"
        axes.set_ylim(-0.01, 1)
        assert 0 in axes.get_yticks()
        places = axes.transData.transform([(0, tick) for tick in axes.get_yticks()])[:, 1]
        assert np.diff(places).min() > 15, "ticks do not run into each other"
    assert height_for([-1, 0, -3]).get_yscale() == "linear"


@pytest.mark.parametrize("floor", [-0.0079, 0.0, 0.0081])
@pytest.mark.parametrize("best", [0.01, 0.4])
def test_names_of_floors_cover_neither_each_other_nor_a_floor_nor_the_settings(tmp_path, floor, best):
    specs = {"patch(size=2)": floor, "kmeans(codes=128, size=2)": 0.0016, "vq(codes=64, dim=4, size=2)": 0.012}
    rows = [
        record(
            "emigm",
            steps,
            recipe={"tokenizer": spec, "dataset": "digits"},
            scores={"kid": best + 0.6 / steps},
            floors={"kid": floor},
        )
        for spec in specs
        for steps in STEPS
    ]
    rows += [tokenizer(spec, kid=value) for spec, value in specs.items()]
    figure = metric_panels(read_results(store(tmp_path, *rows)), "kid", allow_mismatch=True)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    texts = [text for text in axes.texts if text.get_gid() in ("floor", "steps")]
    boxes = [Text.get_window_extent(text) for text in texts]
    assert sum(text.get_gid() == "floor" for text in texts) == 3, "real images and a lossless tokenizer are one line"
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    levels = [axes.transData.transform((1, line.get_ydata()[0]))[1] for line in axes.lines if line.get_gid() == "floor"]
    named = [box for text, box in zip(texts, boxes, strict=True) if text.get_gid() == "floor"]
    assert not any(box.y0 < level < box.y1 for box in named for level in levels)


# Scores by number of steps of methods that come near to the floors of real images and of a tokenizer, from above and below.
CROWDED = {
    "accuracy": ((0.994, 0.988), {"a": (0.99, 1, 0.996, 1), "b": (0.99, 0.98, 1, 0.99), "c": (0.87, 0.92, 0.96, 0.98)}),
    "kid": (
        (-0.0123, -0.0011),
        {"a": (0.19, 0.05, 0.02, 0.01), "b": (0.13, 0.1, 0.08, 0.05), "c": (0.1, 0.02, 0.01, 0.01)},
    ),
}


@pytest.mark.parametrize("name", CROWDED)
def test_names_of_floors_cover_no_line_where_everything_lies_near_the_floor(tmp_path, name):
    metric = f"{name}[digits_cnn]"
    (real, rebuilt), methods = CROWDED[name]
    recipe = {"tokenizer": "kmeans(codes=128, size=2)", "dataset": "digits"}
    rows = [
        record(method, steps, recipe=recipe, scores={metric: value}, floors={metric: real})
        for method, values in methods.items()
        for steps, value in zip((1, 2, 8, 16), values, strict=True)
    ]
    rows.append(tokenizer("kmeans(codes=128, size=2)", **{metric: rebuilt}))
    figure = metric_panels(read_results(store(tmp_path, *rows)), metric)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    names = [text for text in axes.texts if text.get_gid() == "floor"]
    assert sorted(text.xy[1] for text in names) == pytest.approx(sorted((real, rebuilt)))
    arrows = {text.xy[1] for text in axes.texts if text.get_gid() == "leader"}
    for text in names:
        box = Text.get_window_extent(text)
        for line in curves_of(axes):
            corners = axes.transData.transform(np.stack(line.get_data(), axis=1))
            at = np.linspace(0, len(corners) - 1, 500)
            x, y = (np.interp(at, np.arange(len(corners)), corners[:, axis]) for axis in (0, 1))
            assert not ((box.x0 < x) & (x < box.x1) & (box.y0 < y) & (y < box.y1)).any(), text.get_text()
        levels = [axes.transData.transform((1, other.xy[1]))[1] for other in names]
        own = axes.transData.transform((1, text.xy[1]))[1]
        between = [level for level in levels if level != own and min(own, box.y0) < level < max(own, box.y1)]
        assert text.xy[1] in arrows or not between, "a name beside a level is of that level"


def test_of_very_many_tokenizers_the_best_and_the_worst_are_drawn(tmp_path):
    specs = {f"kmeans(codes={codes})": 1000.0 / codes for codes in (50, 100, 200, 400)}
    rows = [record("emigm", 8, recipe={"tokenizer": spec, "dataset": "digits"}, scores={FID: 30.0}) for spec in specs]
    frame = read_results(store(tmp_path, *rows, *(tokenizer(spec, **{FID: value}) for spec, value in specs.items())))
    said = [
        text.get_text() for text in metric_versus(frame, FID, allow_mismatch=True).texts if text.get_gid() == "floor"
    ]
    assert said[1:] == ["after the best of 4 tokenizers: 2.5", "after the worst of them: 20"]


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


@pytest.mark.parametrize("count", [1, 7])
def test_names_of_series_in_one_axes_cover_no_line(tmp_path, count):
    rows = [
        record(f"method-{place}", steps, scores={FID: (place + 1) * 30.0 / steps})
        for place in range(count)
        for steps in STEPS
    ]
    frame = read_results(store(tmp_path, *rows))
    alone, given = metric_versus(frame, FID), metric_versus(frame, FID, ax=Figure((5, 3)).subplots())
    names = [text for text in alone.texts if text.get_gid() == "name"]
    assert len(names) == len(given.get_legend().get_texts()) == count
    for axes, artists in ((alone, names), (given, [given.get_legend()])):
        axes.figure.draw_without_rendering()
        boxes = [Text.get_window_extent(part) if part in names else part.get_window_extent() for part in artists]
        for line in curves_of(axes):
            corners = axes.transData.transform(np.stack(line.get_data(), axis=1))
            assert not any(box.contains(*corner) for box in boxes for corner in corners)


def test_many_long_names_do_not_cover_the_figure(tmp_path):
    long = "guidance_schedule=interval(low=0.{}, high=0.9, inner=constant(scale=1.5)), solver=dpmpp(steps=16, order=3)"
    records = [record(f"method {place}, {long.format(place)}", steps) for place in range(10) for steps in (4, 16)]
    figure = metric_panels(read_results(store(tmp_path, *records)), FID)
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    for axes in figure.axes:
        assert not legend.overlaps(axes.get_window_extent())
        assert axes.get_window_extent().height > 150


def test_the_pareto_front_is_a_step_through_the_points_that_nothing_beats(frame):
    labelled = frame[frame["labels"]]
    front = pareto(summarise(labelled, FID, "nfe"), higher=False)
    (step,) = [line for line in metric_versus(labelled, FID).lines if line.get_gid() == "pareto"]
    np.testing.assert_allclose(step.get_xdata(), front["cost"])
    np.testing.assert_allclose(step.get_ydata(), front["mean"])
    assert (np.diff(front["cost"]) > 0).all()
    assert (np.diff(front["mean"]) < 0).all()


def test_what_no_other_point_beats_is_the_front():
    points = pd.DataFrame({"cost": [1, 2, 2, 3, 4], "mean": [9.0, 7.0, 5.0, 5.0, 4.0]})
    assert list(pareto(points, higher=False).index) == [0, 2, 4]
    assert list(pareto(points, higher=True).index) == [0]


def test_a_tokenizer_is_the_floor_of_the_methods_with_its_tokens_and_no_method(tmp_path):
    other = tokenizer("kmeans(codes=64)", **{FID: 12.0})
    data = {"dataset": "digits", "tokenizer": "patch(size=2)"}
    rows = [record("emigm", steps, recipe=data, scores={FID: 60.0 / steps}) for steps in (4, 8)]
    frame = read_results(store(tmp_path, *rows, tokenizer("patch(size=2)"), other))
    rows = comparable(frame, FID)
    assert set(rows["method"]) == {"emigm"}
    assert reconstruction_floors(frame, FID, rows) == {"patch(size=2)": 9.5}
    figure = metric_panels(frame, FID)
    floors = [line for line in figure.axes[0].lines if line.get_gid() == "floor"]
    assert [line.get_ydata()[0] for line in floors] == [pytest.approx(6.3), pytest.approx(9.5)]
    assert "after patch(size=2): 9.5" in [text.get_text() for text in figure.axes[0].texts]


def test_a_cost_of_training_shows_each_series_at_its_best(frame):
    axes = metric_versus(
        frame.assign(train_seconds=[50.0 + len(name) for name in frame["method"]]), FID, "train_seconds"
    )
    best = summarise(frame, FID).groupby("series", sort=False)["mean"].min()
    assert [float(line.get_ydata()[0]) for line in curves_of(axes)] == pytest.approx(list(best))
    assert axes.get_xlabel() == "Training time (seconds)"


def test_one_method_has_one_colour_and_one_alone_has_many(tmp_path):
    rows = [record(method, 8, recipe={"batch_size": size}) for method in ("emigm", "maskgit") for size in (16, 32)]
    both = looks(read_results(store(tmp_path / "both", *rows)))
    colours = [both[f"{method}, batch_size={size}"].colour for method in ("emigm", "maskgit") for size in (16, 32)]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    alone = looks(read_results(store(tmp_path / "alone", *rows[:2])))
    assert len({look.colour for look in alone.values()}) == 2


def test_sixteen_methods_are_told_apart_and_named_at_their_lines(tmp_path):
    frame = read_results(store(tmp_path, *many(seeds=(0,))))
    styles = looks(frame)
    assert len({(look.colour, look.marker, str(look.dashes)) for look in styles.values()}) == len(MANY) == 16
    assert styles["emigm"].colour == styles["emigm-unlabelled"].colour
    figure = metric_panels(frame, FID)
    figure.draw_without_rendering()
    names = [text for axes in figure.axes for text in axes.texts if text.get_gid() == "name"]
    assert {text.get_text() for text in names} == set(MANY)
    assert {text.get_text(): text.get_color() for text in names} == {
        name: readable(styles[name].colour) for name in MANY
    }
    # Without their leaders, which may cross.
    boxes = [Text.get_window_extent(text) for text in names]
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])
    point = next(line for line in figure.axes[0].lines if line.get_color() == styles["var"].colour)
    assert len(point.get_xdata()) == 1


def test_names_that_would_overlap_are_spread_as_little_as_can_be():
    np.testing.assert_allclose(spread(np.array([5.0, 5.0, 5.0]), 2, 0, 20), [3, 5, 7])
    np.testing.assert_allclose(spread(np.array([1.0, 9.0]), 2, 0, 20), [1, 9])
    np.testing.assert_allclose(spread(np.array([0.0, 0.0, 19.5, 20.0]), 2, 0, 20), [0, 2, 18, 20])


def test_a_panel_for_each_value_of_a_field_with_the_same_colours(tmp_path):
    frame = read_results(store(tmp_path, *sweep(seeds=(0,))))
    figure = metric_panels(frame, FID, by="sampler")
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "sampler halton", "sampler maskgit", "sampler random_order",
    ]  # fmt: skip
    looks_ = [{line.get_color() for line in curves_of(axes)} for axes in figure.axes]
    assert looks_[0] == looks_[1] == looks_[2]


def test_a_panel_for_each_method_or_device_and_of_very_many_values_the_first(tmp_path):
    rows = [record(method, 8, origin={"device": f"gpu {place}"}) for place, method in enumerate(MANY)]
    stored = read_stored(store(tmp_path, *rows), choices=Choices(by="device"))
    figure = metric_panels(stored.frame, FID, by="device")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [f"device {name}" for name in stored.frame["device"].unique()[:MOST_PANELS]]
    assert len(MANY) > MOST_PANELS
    first = next(picture for picture in gallery(stored) if picture.stem == "fid-versus-nfe")
    assert f"Of 16 values of device, the first {MOST_PANELS}." in first.caption
    assert [axes.get_title(loc="left") for axes in metric_panels(stored.frame[:2], FID, by="method").axes] == [
        f"method {name}" for name in stored.frame["method"][:2]
    ]


def test_a_figure_for_a_paper_is_a_column_wide(frame):
    with on_paper():
        figure = metric_panels(frame, FID)
    assert figure.get_figwidth() == PAPER.panel[0]
    assert metric_panels(frame, FID).get_figwidth() == SCREEN.panel[0]


def as_lab(linear):
    """CIELAB of linear RGB under D65."""
    white = np.array((0.9505, 1, 1.089))
    shares = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear / white
    x, y, z = np.where(shares > 0.008856, np.cbrt(shares), 7.787 * shares + 16 / 116)
    return np.array((116 * y - 16, 500 * (x - y), 200 * (y - z)))


# What is left of linear RGB with all cones, without long- and without middle-wave ones (Viénot, Brettel, Mollon 1999).
VISIONS = (
    np.eye(3),
    np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]]),
    np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]),
)


@pytest.mark.parametrize("vision", VISIONS, ids=["all cones", "no long-wave cones", "no middle-wave cones"])
def test_colours_are_told_apart_with_any_colour_vision(vision):
    linear = [np.array(to_rgb(light)) ** 2.2 for light, _ in COLOURS]
    seen = [as_lab(np.clip(vision @ colour, 0, 1)) for colour in linear]
    assert min(np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2)) > 10


def test_names_in_colour_are_read_on_either_ground():
    for light, _ in COLOURS:
        assert contrast(readable(light), LIGHT.paper) >= 4.5
        assert contrast(on_dark()[readable(light)], DARK.paper) >= 4.5
    assert readable("#0072b2") == "#0072b2", "what is read well stays as it is"


def test_very_many_operations_are_counted_in_thousands_and_do_not_run_together(tmp_path):
    rows = [record("emigm", steps, costs={"nfe": steps, "flops_per_image": 2.1e6 * steps}) for steps in STEPS]
    axes = metric_versus(read_results(store(tmp_path, *rows)), FID, "flops_per_image")
    low, high = axes.get_xlim()
    shown = [text for place, text in zip(axes.get_xticks(), labels_of(axes), strict=True) if low <= place <= high]
    assert shown == ["2M", "5M", "10M", "20M", "50M"]


def labels_of(axes):
    axes.figure.canvas.draw()
    return [label.get_text() for label in axes.get_xticklabels()]
