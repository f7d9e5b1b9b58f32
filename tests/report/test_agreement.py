"""The page says how far our FID is from other implementations on the same images."""

from pathlib import Path

import pytest

from mgbench.interfaces.scores import ScoreInfo
from mgbench.report import read_results
from mgbench.report.agreement import agreement, agreement_said
from tests.report.synthetic import FID, record, report_of, store

OTHER = FID.replace("fid", "other_fid", 1)
DECLARED = {
    FID: ScoreInfo("FID", "lower").plain(),
    OTHER: ScoreInfo("FID by others", "lower", checks="fid").plain(),
}


def results(folder: Path) -> Path:
    pairs = ((10.0, 10.0), (20.0, 20.001), (30.0, float("nan")))
    made = [
        record("emigm", 8, seed, scores={FID: ours, OTHER: theirs}, declared=DECLARED)
        for seed, (ours, theirs) in enumerate(pairs)
    ]
    return store(folder, *made, record("emigm", 8, 3, scores={FID: 5.0}))


def test_the_largest_relative_difference_of_rows_that_have_both_is_told(tmp_path: Path) -> None:
    frame = read_results(results(tmp_path))
    (row,) = agreement(frame).itertuples(index=False)
    assert (row.score, row.by, row.rows, row.difference) == (FID, OTHER, 2, pytest.approx(5e-5))
    (said,) = agreement_said(frame)
    assert said == (
        "FID by others[digits_cnn] differs from our FID[digits_cnn] by at most 0.005 % of it, on the same images of 2 rows."
    )
    assert said in report_of(tmp_path, tmp_path / "page").read_text(encoding="utf-8")


def test_without_a_second_implementation_nothing_is_said(tmp_path: Path) -> None:
    assert agreement_said(read_results(store(tmp_path, record()))) == []
