"""What may be called certain, best or one sampling: seeds are replicates, directions are declared, N is beside the number."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mgbench.report.figures.points import ambiguous, points
from mgbench.report.figures.tradeoff import metric_versus
from mgbench.report.findings import findings, headline
from mgbench.report.frame import read_results
from mgbench.report.measures import higher_is_better, score_axis, score_name
from mgbench.report.paired import BEST, TIED, effects, standing
from mgbench.report.summary import pareto, summarise
from mgbench.report.table import printable, summary_table
from mgbench.results.layout import Layout
from mgbench.results.record import Record
from tests.report.synthetic import record, report_of, store

FID, ODD = "fid[digits_cnn]", "odd[digits_cnn]"


def rows(method, fids, steps=(8,), **changes):
    return [
        record(method, step, seed, scores={FID: fid + 10 / step}, **changes)
        for seed, fid in enumerate(fids)
        for step in steps
    ]


def test_step_counts_of_one_model_are_no_replicates(tmp_path):
    one = [*rows("emigm", [5.0], (1, 2, 4, 8)), *rows("emigm", [4.0], (1, 2, 4, 8), recipe={"ema": 0.9})]
    (row,) = effects(read_results(store(tmp_path, *one)), FID).to_dict("records")
    assert (abs(row["mean"]), row["seeds"], row["pairs"]) == (pytest.approx(1.0), 1, 4)
    assert np.isnan(row["low"])


def test_the_interval_of_an_effect_is_students_over_seeds(tmp_path):
    base, other = [5.0, 6.0, 5.5], [4.0, 5.7, 4.1]
    made = [*rows("emigm", base, (2, 4, 8)), *rows("emigm", other, (2, 4, 8), recipe={"ema": 0.9})]
    (row,) = effects(read_results(store(tmp_path, *made)), FID).to_dict("records")
    sign = np.sign(row["mean"])
    theirs = stats.ttest_1samp(sign * np.abs(np.subtract(other, base)), 0).confidence_interval(0.95)
    assert (row["low"], row["high"]) == pytest.approx(tuple(theirs))


def test_two_rows_of_one_seed_count_once(tmp_path):
    again = [replace(item, key=item.key[::-1], scores={FID: 9.0}) for item in rows("emigm", [5.0])]
    (row,) = summarise(read_results(store(tmp_path, *rows("emigm", [5.0]), *again)), FID).to_dict("records")
    assert row["count"] == 1
    assert np.isnan(row["low"])


def test_the_best_and_what_cannot_be_told_from_it_are_the_same_in_tables_and_findings(tmp_path):
    made = [*rows("sure", [9.0, 9.1, 9.2]), *rows("best", [5.0, 6.0, 5.5]), *rows("near", [5.3, 5.9, 5.6])]
    frame = read_results(store(tmp_path, *made))
    table = summary_table(frame)
    signs = dict(zip(table["series"], standing(frame, table, FID, higher=False), strict=True))
    assert signs == {"sure": "", "best": BEST, "near": TIED}
    assert "the 95 % interval of their difference, paired by seed, contains 0" in " ".join(findings(frame))


def test_a_gain_that_seeds_do_not_show_is_marked_on_the_front(tmp_path):
    made = [
        record("emigm", step, seed, scores={FID: fid}, costs={"nfe": float(step)})
        for step, fids in ((4, (9.0, 9.5, 9.2)), (8, (5.0, 6.0, 5.5)), (16, (5.3, 5.6, 5.4)))
        for seed, fid in enumerate(fids)
    ]
    frame = read_results(store(tmp_path, *made))
    found = points(frame, FID, "nfe", False)
    assert pareto(found, False)["sampling_steps"].tolist() == [4, 8, 16]
    assert ambiguous(frame, FID, found, False)["sampling_steps"].tolist() == [16]
    assert [part.get_gid() for part in metric_versus(frame, FID).collections].count("ambiguous") == 1


@pytest.mark.parametrize("real", [1.0, 99.0])
@pytest.mark.parametrize(("better", "higher"), [("lower", False), ("higher", True)])
def test_a_declared_direction_does_not_depend_on_where_real_images_lie(tmp_path, real, better, higher):
    declared = {ODD: {"label": "Oddness", "better": better, "unit": "px"}}
    item = record(scores={ODD: 5.0}, floors={ODD: real}, declared=declared)
    frame = read_results(store(tmp_path, item))
    assert higher_is_better(frame, ODD) is higher
    assert score_axis(frame, ODD) == f"Oddness[digits_cnn] (px) (N = 500, {better} is better)"


def test_what_nobody_declared_has_no_best_no_front_and_no_bold(tmp_path):
    made = [
        record(name, step, seed, scores={ODD: float(step + seed)}, declared={})
        for name in ("emigm", "maskgit")
        for step in (4, 8)
        for seed in (0, 1)
    ]
    frame = read_results(store(tmp_path / "results", *made))
    assert score_name(frame, ODD) == ODD
    assert headline(frame) == "No score here has a declared better direction, so none is called the best."
    assert set(standing(frame, summary_table(frame), ODD, higher_is_better(frame, ODD))) == {""}
    assert pareto(points(frame, ODD, "nfe", False), None).empty
    page = report_of(tmp_path / "results", tmp_path / "out").read_text()
    assert "is better" not in page
    assert '"marked"' not in page


def test_records_that_contradict_each_other_declare_nothing(tmp_path):
    made = [
        record(method, scores={ODD: 1.0}, declared={ODD: {"label": "Odd", "better": better}})
        for method, better in (("emigm", "lower"), ("maskgit", "higher"))
    ]
    assert higher_is_better(read_results(store(tmp_path, *made)), ODD) is None


def test_a_record_of_before_is_known_by_the_table_or_not_at_all(tmp_path):
    item = record(scores={FID: 5.0, ODD: 5.0}, floors={FID: 1.0, ODD: 9.0})
    store(tmp_path, item)
    path = Layout(tmp_path).run(item.key) / "record.json"
    content = json.loads(path.read_text())["content"]
    del content["declared"]
    body = json.dumps(content, indent=1, sort_keys=True)
    sealed = {"schema": 4, "sha256": hashlib.sha256(body.encode()).hexdigest(), "content": content}
    path.write_text(json.dumps(sealed))
    frame = read_results(tmp_path)
    assert [higher_is_better(frame, name) for name in (FID, ODD)] == [False, None]


def test_steps_beyond_the_tokens_are_the_row_that_they_repeat(tmp_path):
    took = {"steps_taken": 16.0, "nfe": 16.0}
    made = [record("maskgit", step, scores={FID: 7.0}, costs=took) for step in (16, 32)]
    other = record("emigm", 32, scores={FID: 8.0}, costs={"steps_taken": 14.0, "nfe": 23.0})
    frame = read_results(store(tmp_path, *made, other))
    assert sorted(zip(frame["method"], frame["sampling_steps"], strict=True)) == [("emigm", 32), ("maskgit", 16)]
    assert frame.attrs["same"] == 1
    assert printable(summary_table(frame))["steps"].tolist() == ["14 of 32", "16"]
    kept = read_results(tmp_path, where="sampling_steps=32")
    assert len(kept) == 2, "what is asked for is found"


def test_a_row_that_one_seed_alone_repeats_stays(tmp_path):
    def took(step: int, seed: int, taken: float, fid: float) -> Record:
        return record("emigm", step, seed, scores={FID: fid}, costs={"steps_taken": taken, "nfe": taken})

    made = [took(16, 0, 16, 7.0), took(32, 0, 16, 7.0), took(16, 1, 15, 8.0), took(32, 1, 16, 9.0)]
    frame = read_results(store(tmp_path, *made))
    assert frame.attrs["same"] == 0
    assert summary_table(frame)["seeds"].tolist() == [2, 2]


def test_a_curve_never_runs_backwards(tmp_path):
    made = [
        record("emigm", step, scores={FID: 9.0 - step / 8}, costs={"steps_taken": float(taken), "nfe": nfe})
        for step, taken, nfe in ((4, 4, 6.0), (16, 16, 26.0), (32, 14, 23.0))
    ]
    (line,) = [
        line for line in metric_versus(read_results(store(tmp_path, *made)), FID).lines if len(line.get_xdata()) == 3
    ]
    assert list(line.get_xdata()) == [6.0, 23.0, 26.0]


def test_the_number_of_images_stands_beside_the_score(tmp_path):
    few = "digits@ab12cd34/train1437/n18/balanced/uint8/8x8/digits_cnn@3f2a"
    frame = read_results(store(tmp_path, record(scores={FID: 51.8}, protocol=few)))
    assert headline(frame) == "The best FID[digits_cnn] of 18 images is 51.8, by emigm at 8 steps (one seed)."
    assert printable(summary_table(frame))["N"].tolist() == ["18"]
    assert metric_versus(frame, FID).get_ylabel() == "FID[digits_cnn] (N = 18, lower is better)"


def test_the_tokenizer_is_named_only_where_there_are_several(tmp_path):
    made = [
        record(method, scores={"bits_per_dim": 1.0}, recipe={"tokenizer": f"kmeans(codes={codes}, size=2)"})
        for method, codes in (("emigm", 128), ("maskgit", 256))
    ]
    one, two = read_results(store(tmp_path / "one", made[0])), read_results(store(tmp_path / "two", *made))
    assert [score_name(one, name) for name in one.attrs["scores"]] == ["Bits per dimension"]
    assert {score_name(two, name) for name in two.attrs["scores"]} == {
        "Bits per dimension (kmeans(codes=128))",
        "Bits per dimension (kmeans(codes=256))",
    }
    assert pd.notna(one["bits_per_dim[kmeans(codes=128, size=2)]"]).all()
