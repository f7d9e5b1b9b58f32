"""Effects, guidance, heat maps and small multiples, held to a grid whose effects are known."""

import numpy as np
import pytest

from mgbench.report.figures.effects import choice_effects, effects_figure
from mgbench.report.figures.grids import grid_of, heat_map, small_multiples
from mgbench.report.figures.guidance import guidance_panels, scale_of, score_versus_scale, sweep
from mgbench.report.frame import read_results
from mgbench.report.paired import axes_of, effects
from tests.report import synthetic
from tests.report.synthetic import record, store

FID = "fid[digits_cnn]"


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    return read_results(store(tmp_path_factory.mktemp("grid"), *synthetic.sweep()))


def test_the_axes_are_what_varies_but_the_seed(grid):
    assert set(axes_of(grid)) == {"mask_schedule", "sampler", "guidance_schedule", "sampling_steps"}


def test_an_effect_is_the_paired_difference_with_everything_else_equal(grid):
    found = effects(grid, FID).set_index(["axis", "choice"])
    # Three seeds, two schedules, four scales and three steps.
    assert found.loc[("sampler", "random_order"), "reference"] == "halton(a=1)"
    assert found.loc[("sampler", "random_order"), "pairs"] == 72
    assert found.loc[("sampler", "random_order"), "mean"] == pytest.approx(4)
    assert found.loc[("sampler", "maskgit(temperature=4.5)"), "mean"] == pytest.approx(6)
    assert found.loc[("mask_schedule", "exp(rate=5.0)"), "mean"] == pytest.approx(-1.5)
    assert found.loc[("sampler", "random_order"), ["low", "high"]].to_numpy(float) == pytest.approx([4, 4])
    assert found.index.get_level_values("axis")[0] == "sampler", "what matters most comes first"


def test_an_interval_of_effects_is_students_over_the_pairs(tmp_path):
    rows = [record("emigm", 8, seed, recipe={"sampler": "a"}, scores={FID: 10.0}) for seed in range(3)]
    rows += [record("emigm", 8, seed, recipe={"sampler": "b"}, scores={FID: 11.0 + seed}) for seed in range(3)]
    (effect,) = effects(read_results(store(tmp_path, *rows)), FID).to_dict("records")
    assert (effect["mean"], effect["pairs"]) == (2.0, 3)
    assert effect["high"] - effect["mean"] == pytest.approx(4.302653 * 1 / np.sqrt(3), rel=1e-5)


def test_rows_pair_across_methods_and_over_kinds_that_one_side_does_not_ask(tmp_path):
    heads = {"emigm": ("diffusion", "dpmpp(steps=8)", 5.0), "maskgit": ("categorical", None, 6.0)}
    rows = [
        record(method, steps, recipe={"head": head, "solver": solver, "labels": True}, scores={FID: score})
        for method, (head, solver, score) in heads.items()
        for steps in (4, 8)
    ]
    found = effects(read_results(store(tmp_path, *rows)), FID)
    assert found[found["axis"] == "head"]["mean"].tolist() == [1.0]
    assert found[found["axis"] == "head"]["pairs"].tolist() == [2]


def test_rows_that_differ_in_two_choices_make_no_pair(tmp_path):
    rows = [record("emigm", 8, recipe={"sampler": name, "batch_size": size}) for name, size in (("a", 1), ("b", 2))]
    frame = read_results(store(tmp_path, *rows))
    assert effects(frame, FID).empty
    assert effects_figure(frame, FID) is None


def test_the_figure_of_effects_shows_means_intervals_seeds_and_references(grid):
    axes = choice_effects(grid, FID)
    drawn = [line.get_xdata()[0] for line in axes.lines if line.get_gid() == "effect"]
    assert sorted(drawn) == pytest.approx(sorted(effects(grid, FID)["mean"]))
    assert [line.get_xdata()[0] for line in axes.lines if line.get_gid() == "reference"] == [0, 0, 0]
    assert next(text.get_text() for text in axes.texts if text.get_gid() == "axis") == "sampler"
    assert {text.get_text() for text in axes.texts if text.get_gid() == "seeds"} == {"3"}
    assert axes.get_xlabel() == "Difference in FID[digits_cnn] (N = 500, left is better)"
    assert "right is better" in choice_effects(grid, "accuracy[digits_cnn]").get_xlabel()


@pytest.mark.parametrize(
    ("spec", "scale"),
    [
        ("constant(scale=2.5)", 2.5),
        ("interval(low=0.1, high=0.5, inner=constant(scale=2))", 2.0),
        ("none", 1.0),
        ("other(power=2)", None),
        ("not(a spec", None),
    ],
)
def test_the_scale_is_read_from_the_spec(spec, scale):
    assert scale_of(spec) == scale


def test_a_sweep_has_a_line_per_settings_and_begins_without_guidance(grid):
    found = sweep(grid, FID)
    assert found["line"].nunique() == 6
    for _, line in found.groupby("line"):
        assert line["scale"].tolist() == [1, 1.5, 2, 3]
        assert line["mean"].idxmin() == line.index[2], "the best scale is 2"
        assert line["sampling_steps"].unique() == [16]


def test_the_sweep_is_drawn_as_it_is(grid):
    axes = score_versus_scale(grid, FID)
    found = sweep(grid, FID)
    for line, (_, points) in zip(axes.lines, found.groupby("line", sort=False), strict=True):
        np.testing.assert_allclose(line.get_xdata(), points["scale"])
        np.testing.assert_allclose(line.get_ydata(), points["mean"])
    assert axes.get_xlabel() == "Guidance scale (1: none)"
    figure = guidance_panels(grid, [FID, "accuracy[digits_cnn]"])
    assert [axes.get_ylabel().split("[")[0] for axes in figure.axes] == ["FID", "Accuracy"]


def test_without_several_scales_there_is_no_sweep(tmp_path):
    frame = read_results(store(tmp_path, *synthetic.grid(seeds=(0,))))
    assert sweep(frame, FID).empty


def test_a_cell_of_a_heat_map_is_the_best_mean_over_all_else(grid):
    cells = grid_of(grid, FID, "sampler", "sampling_steps")
    assert list(cells.columns) == ["4", "8", "16"]
    assert cells.loc["halton(a=1)", "16"] == pytest.approx(
        grid[(grid["sampler"] == "halton(a=1)") & (grid["sampling_steps"] == 16)].groupby("series")[FID].mean().min()
    )
    axes = heat_map(grid, FID, "sampler", "sampling_steps")
    np.testing.assert_allclose(axes.images[0].get_array(), cells)
    (best,) = [patch for patch in axes.patches if patch.get_gid() == "best"]
    assert (best.get_x() + 0.5, best.get_y() + 0.5) == (2, 0)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["halton", "maskgit", "random_order"]


def test_small_multiples_share_scales_and_names(grid):
    figure = small_multiples(grid, FID, "sampler")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["halton", "maskgit", "random_order"]
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert {"exp(rate=5.0), interval(scale=2.0)", "exp(rate=3.0), none"} <= {
        text.get_text() for text in figure.legends[0].get_texts()
    }
