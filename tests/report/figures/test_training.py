from mgbench.report.figures.training import read_curves, training_curves, training_panels
from mgbench.report.frame import read_results
from mgbench.results.layout import Layout
from tests.report.synthetic import record, store


def curves_of(axes):
    return [line for line in axes.lines if len(line.get_xdata())]


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
