import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgbench.errors import UserError
from mgbench.report.frame import of_images, read_results
from mgbench.report.summary import mark_protocols, summarise
from mgbench.report.table import printable, problems, summary_table, tokenizer_table, write_csv
from mgbench.results.known_scores import known_scores
from mgbench.results.layout import Layout
from mgbench.results.record import Record, as_content
from mgbench.results.schema import seal
from tests.report.synthetic import grid, record, store, store_study, unfinished

FID = "fid[digits_cnn]"


def test_a_frame_has_a_row_per_record_and_a_column_per_field_score_and_cost(tmp_path):
    frame = read_results(store(tmp_path, record("emigm", 8, 0), record("maskgit", 4, 1)))
    assert len(frame) == 2
    assert {"key", "method", "mask_schedule", "seed", FID, f"floor {FID}", "nfe", "protocol", "device"} <= set(frame)
    assert list(frame.attrs["scores"]) == [FID, "kid[digits_cnn]", "accuracy[digits_cnn]"], (
        "as the recipe asks for them"
    )


def test_a_study_shows_its_rows_only_under_its_names_and_in_its_order(tmp_path):
    records = [record("emigm", steps) for steps in (1, 2, 4)]
    store(tmp_path, *records)
    store_study(tmp_path, "mine", [(records[2].key, "renamed"), (records[0].key, "emigm"), ("unknown", "emigm")])
    frame = read_results(tmp_path, "mine")
    assert list(zip(frame["method"], frame["sampling_steps"], strict=True)) == [("renamed", 4), ("emigm", 1)]
    assert frame.attrs["missing"] == 1
    assert frame.attrs["command"] == "mgbench run study.toml"


def test_a_record_that_is_older_than_a_field_has_its_default(tmp_path):
    older, newer = (record("emigm", 8, seed) for seed in (0, 1))
    store(tmp_path, replace(newer, recipe={**newer.recipe, "reference": "train"}))
    store(tmp_path, replace(older, recipe={k: v for k, v in older.recipe.items() if k != "reference"}))
    frame = read_results(tmp_path)
    assert list(frame["reference"]) == ["train", "train"]
    assert set(frame["series"]) == {"emigm"}


def test_an_unknown_study_is_refused_with_the_nearest_name(tmp_path):
    store_study(store(tmp_path, record()), "mine", [])
    with pytest.raises(UserError, match="did you mean 'mine'"):
        read_results(tmp_path, "mien")


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(UserError, match="no results"):
        read_results(tmp_path / "nowhere")


def test_a_corrupt_record_is_left_out_and_said_and_not_touched(tmp_path):
    good, bad = record("emigm", 1), record("emigm", 2)
    store(tmp_path, good, bad)
    path = Layout(tmp_path).run(bad.key) / "record.json"
    path.write_text(path.read_text()[:200])
    with pytest.warns(UserWarning, match=bad.key):
        frame = read_results(tmp_path)
    assert list(frame["key"]) == [good.key]
    assert path.exists()


def test_a_series_names_what_varies_within_its_method(tmp_path):
    rows = [record("maskgit", recipe={"sampler": name}) for name in ("halton", "random_order")] + [record("emigm")]
    assert set(read_results(store(tmp_path, *rows))["series"]) == {
        "maskgit, sampler=halton", "maskgit, sampler=random_order", "emigm",
    }  # fmt: skip


def test_the_interval_is_students_t_over_seeds(tmp_path):
    rows = [record("emigm", 8, seed, scores={FID: value}) for seed, value in enumerate((10.0, 12.0, 14.0))]
    row = summarise(read_results(store(tmp_path, *rows)), FID, "nfe").iloc[0]
    assert (row["count"], row["mean"]) == (3, 12.0)
    assert row["high"] - row["mean"] == pytest.approx(4.302653 * 2 / np.sqrt(3), rel=1e-6)
    assert row["cost"] == pytest.approx(8 * 1.6)


def test_one_seed_has_no_interval(tmp_path):
    row = summarise(read_results(store(tmp_path, record())), FID).iloc[0]
    assert np.isnan(row["low"])
    assert np.isnan(row["high"])


def test_rows_of_two_protocols_are_refused_by_name_or_marked(tmp_path):
    rows = [record("emigm", 8, 0), replace(record("emigm", 8, 1), protocol="digits/test/n50")]
    frame = read_results(store(tmp_path, *rows))
    with pytest.raises(UserError, match=r"not comparable.*n500.*n50'"):
        summarise(frame, FID)
    assert list(summarise(frame, FID, allow_mismatch=True)["series"]) == ["emigm", "emigm †1"]


def test_an_unknown_score_or_cost_is_refused_with_the_nearest_name(tmp_path):
    frame = read_results(store(tmp_path, record()))
    with pytest.raises(UserError, match="fid"):
        summarise(frame, "fid[digits_cn]")
    with pytest.raises(UserError, match="nfe"):
        summarise(frame, FID, "nfes")


def test_the_table_has_a_row_per_series_and_step_count_with_what_became_of_it(tmp_path):
    rows = [record("emigm", 8, 0), record("emigm", 8, 1), unfinished("emigm", 8, 2, "failed", "no memory")]
    frame = read_results(store(tmp_path, *rows, unfinished("halton", 4, 0, "skipped", "no codes")))
    table = summary_table(frame).set_index(["series", "sampling_steps"])
    assert table.loc[("emigm", 8), ["seeds", "status"]].tolist() == [2, "2 done, 1 failed"]
    assert table.loc[("halton", 4), "status"] == "skipped"
    shown = printable(summary_table(frame))
    assert "±" in shown.loc[shown["series"] == "emigm", "FID[digits_cnn]"].iloc[0]
    assert problems(frame)["reason"].tolist() == ["no memory", "no codes"]


def test_all_columns_of_all_rows_go_to_the_csv(tmp_path):
    frame = read_results(store(tmp_path / "results", *grid(steps=(1, 2), seeds=range(1))))
    write_csv(frame, tmp_path / "table.csv")
    lines = (tmp_path / "table.csv").read_text().splitlines()
    assert len(lines) == 1 + len(frame)
    assert "fid, kid, accuracy" in lines[1]


def test_reading_and_reporting_import_neither_torch_nor_pluggy(tmp_path):
    store(tmp_path / "results", record())
    code = (
        "import sys; from pathlib import Path; import mgbench.report; assert 'pandas' not in sys.modules;"
        "mgbench.report.write_all(Path(sys.argv[1]), Path(sys.argv[2]));"
        "assert not {'torch', 'pluggy'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "results"), str(tmp_path / "out")]
    subprocess.run(command, check=True, timeout=60)


def about_tokenizer(**changes):
    """A row about the tokenizer of the other rows."""
    made = replace(record(), key="of the tokenizer", method="tokenizer", about="tokenizer")
    kept = ("dataset", "tokenizer", "extractor", "metrics", "samples")
    recipe = {name: value if name in kept else None for name, value in made.recipe.items()}
    costs = {"tokens": 16.0, "codes_used": 0.5, "parameters": 300.0, "fit_seconds": 20.0}
    scores = {FID: 1.5, "rmse": 12.25}
    return replace(
        made,
        **{
            "recipe": {**recipe, "tokenizer": "vq(codes=64)"},
            "scores": scores,
            "declared": known_scores(scores),
            "costs": costs,
            **changes,
        },
    )


def test_rows_about_tokenizers_upset_nothing_of_those_about_images(tmp_path):
    plain, mixed = tmp_path / "plain", tmp_path / "mixed"
    rows = [record("emigm", steps, recipe={"batch_size": size}) for steps in (4, 8) for size in (16, 32)]
    expected = read_results(store(plain, *rows))
    frame = read_results(store(mixed, *rows, about_tokenizer(protocol="another")))
    assert list(frame["about"]) == ["images"] * 4 + ["tokenizer"]
    assert {"rmse", "codes_used"} <= set(frame)
    left = of_images(frame)
    assert set(left["series"]) == {"emigm, batch_size=16", "emigm, batch_size=32"}
    assert (left.attrs["scores"], left.attrs["costs"]) == (expected.attrs["scores"], expected.attrs["costs"])
    for one, other in ((left, expected), (summary_table(left), summary_table(expected))):
        pd.testing.assert_frame_equal(one.dropna(axis=1), other.dropna(axis=1), check_like=True, check_dtype=False)
    for name in ("batch_size", "sampling_steps", "seed"):
        assert left[name].dtype == expected[name].dtype
    assert set(mark_protocols(frame)["mark"]) == {""}, "their protocol is no other one that the rest must be told from"


def test_the_table_of_tokenizers_has_their_costs_and_scores(tmp_path):
    frame = read_results(store(tmp_path, record(), about_tokenizer()))
    assert tokenizer_table(frame).to_dict("records") == [
        {
            "tokenizer": "vq(codes=64)",
            "tokens": "16",
            "codes used": "0.500",
            "parameters": "300",
            "fit s": "20",
            "FID[digits_cnn]": "1.50",
            "RMSE (grey levels)": "12.2",
            "N": "500",
        }
    ]
    assert tokenizer_table(of_images(frame)).empty


def test_a_status_of_any_name_is_a_status(tmp_path):
    rows = [
        record("emigm", 1),
        *(unfinished("emigm", 1, seed, name, "why") for seed, name in ((1, "oom"), (2, "timeout"))),
    ]
    frame = read_results(store(tmp_path, *rows))
    assert list(problems(frame)["status"]) == ["oom", "timeout"]
    assert summary_table(frame)["status"].tolist() == ["1 done, 1 oom, 1 timeout"]


def test_a_tokenizer_that_failed_is_among_the_problems(tmp_path):
    failed = about_tokenizer(status="failed", reason="no codebook", scores={}, costs={}, protocol="")
    frame = read_results(store(tmp_path, record(), failed))
    assert problems(frame).to_dict("records") == [
        {"status": "failed", "series": "tokenizer vq(codes=64)", "steps": "", "seeds": "", "reason": "no codebook"}
    ]
    assert tokenizer_table(frame).empty


def test_records_from_before_there_were_tokenizers_are_about_images(tmp_path):
    made = record()
    content = as_content(made)
    del content["about"]
    path = Layout(store(tmp_path, made)).run(made.key) / "record.json"
    path.write_text(seal(content))
    assert list(read_results(tmp_path)["about"]) == ["images"]


def own_steps(seed: int, **changes: Any) -> Record:
    """A row of a process that takes as many steps as it has scales, whatever is asked."""
    made = record("var", 8, seed, recipe={"sampling_steps": None})
    return replace(made, **{"costs": {**made.costs, "steps_taken": 4.0}, **changes})


def test_a_process_that_decides_its_steps_has_those_it_took(tmp_path):
    rows = [own_steps(0), own_steps(1), record("emigm", 4), record("emigm", 16)]
    frame = read_results(store(tmp_path, *rows))
    assert frame.set_index("method")["sampling_steps"].to_dict() == {"emigm": 16, "var": 4}
    assert frame["sampling_steps"].dtype == int
    table = summary_table(frame).set_index(["series", "sampling_steps"])
    assert table.loc[("var", 4), "seeds"] == 2
    assert np.isfinite(table.loc[("var", 4), [FID, f"{FID} low", "nfe"]].astype(float)).all()
    shown = printable(summary_table(frame))
    assert shown[["series", "steps"]].to_numpy().tolist() == [["emigm", "4"], ["emigm", "16"], ["var", "4"]]


def test_what_decides_its_steps_and_did_not_finish_is_still_a_row(tmp_path):
    failed = own_steps(0, status="failed", reason="no memory", scores={}, floors={}, costs={})
    frame = read_results(store(tmp_path, failed, record("emigm", 4), own_steps(1)))
    table = summary_table(frame)
    assert table["status"].tolist() == ["done", "done", "failed"]
    assert printable(table)["steps"].tolist() == ["4", "4", "–"]
    assert printable(summary_table(frame[frame["status"] == "failed"]))["steps"].tolist() == ["–"]
    assert problems(frame)[["series", "steps"]].to_numpy().tolist() == [["var", ""]]
