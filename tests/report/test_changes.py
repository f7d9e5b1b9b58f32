import pytest

from mgbench.report.changes import compare
from mgbench.report.frame import read_results
from mgbench.report.text import text_plot
from tests.report.synthetic import grid, record, store, store_study, unfinished

FID = "fid[digits_cnn]"


def studies(root, **sides):
    for name, rows in sides.items():
        store(root, *rows)
        store_study(root, name, [(row.key, row.method) for row in rows])
    return [read_results(root, name) for name in sides]


def test_changed_fields_and_paired_scores_are_told(tmp_path):
    old = [record("emigm", steps, seed, scores={FID: 10.0 + seed}) for steps in (4, 8) for seed in range(3)]
    new = [
        record("emigm", steps, seed, scores={FID: 8.0 + seed}, recipe={"ema": 0.9})
        for steps in (4, 8)
        for seed in range(3)
    ]
    found = compare(*studies(tmp_path, a=[*old, record("mar")], b=[*new, record("maskgit")]))
    assert found.fields.to_dict("records") == [{"method": "emigm", "field": "ema", "before": "0.999", "after": "0.9"}]
    (row,) = found.scores.to_dict("records")
    assert (row["mean"], row["low"], row["high"], row["pairs"]) == (-2.0, -2.0, -2.0, 6)
    assert (found.gone, found.new, found.same) == (["mar"], ["maskgit"], 0)


def test_the_same_study_has_no_change(tmp_path):
    found = compare(*studies(tmp_path, a=grid(steps=(4,)), b=grid(steps=(4,))))
    assert found.fields.empty
    assert found.same == 15
    assert (found.scores["mean"] == 0).all()


def test_more_steps_are_a_change_and_only_common_ones_are_paired(tmp_path):
    found = compare(*studies(tmp_path, a=grid(("emigm",), (4, 8), (0,)), b=grid(("emigm",), (8, 16), (0,))))
    assert found.fields["field"].tolist() == ["sampling_steps"]
    assert found.scores["pairs"].tolist() == [1, 1, 1]


def test_other_protocols_are_not_compared(tmp_path):
    found = compare(
        *studies(tmp_path, a=[record("emigm", 8)], b=[record("emigm", 8, protocol="another", recipe={"ema": 0.5})])
    )
    assert found.scores.empty


def test_a_text_plot_has_a_mark_per_series_and_its_scales(tmp_path):
    rows = [
        record("emigm", 1, scores={FID: 100.0}, costs={"nfe": 1.0}),
        record("emigm", 32, scores={FID: 1.0}, costs={"nfe": 32.0}),
    ]
    drawn = text_plot(
        read_results(store(tmp_path, *rows, record("maskgit", 8, scores={FID: 10.0}, costs={"nfe": 8.0})))
    )
    lines = drawn.splitlines()
    assert lines[0] == "FID[digits_cnn] (N = 500, lower is better)"
    assert lines[1] == " 100 ┤●" + " " * 63
    assert lines[14] == "   1 ┤" + " " * 63 + "●"
    assert [line for line in lines if line.startswith("  ")][-2:] == ["  ● emigm", "  ■ maskgit"]
    assert sum("■" in line for line in lines) == 2


@pytest.mark.parametrize("row", [unfinished("emigm", 8, 0, "failed", "no memory"), record(scores={}), record(costs={})])
def test_there_is_nothing_to_plot_without_a_score_or_a_cost(tmp_path, row):
    assert text_plot(read_results(store(tmp_path, row))) == ""
