"""Sampling seeds show the noise of drawing given one model, and never count as replicates of the training."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgbench.report import read_results, summarise
from mgbench.report.latex import methods_text
from mgbench.report.significance import paired_test
from mgbench.report.spread import printable_spread, sampling_spread
from tests.report.synthetic import FID, record, report_of, store

# The FID of each model (training seed) under each sampling seed; None: sampled with the seed of its training.
VALUES = {0: {None: 10.0, 1: 12.0, 2: 14.0}, 1: {0: 20.0, None: 22.0, 2: 27.0}}


def rows(method: str = "emigm", shift: float = 0.0):
    return [
        record(method, 8, seed, recipe={"sample_seed": sampling}, scores={FID: value + shift})
        for seed, values in VALUES.items()
        for sampling, value in values.items()
    ]


@pytest.fixture
def frame(tmp_path: Path) -> pd.DataFrame:
    return read_results(store(tmp_path / "results", *rows(), *rows("maskgit", 5.0)))


def test_the_spread_is_pooled_within_models_and_told_apart_from_that_between_them(frame: pd.DataFrame) -> None:
    one = sampling_spread(frame).set_index("series").loc["emigm"]
    values = [np.array(list(of_model.values())) for of_model in VALUES.values()]
    assert one["within a model"] == pytest.approx(np.sqrt(np.mean([model.var(ddof=1) for model in values])))
    assert one["between models"] == pytest.approx(np.std([model.mean() for model in values], ddof=1))
    assert (one["models"], one["sampling seeds"], one["mean"]) == (2, 3, 17.5)


def test_sampling_seeds_are_no_replicates(frame: pd.DataFrame) -> None:
    (one,) = summarise(frame, FID).query("series == 'emigm'").itertuples()
    assert (one.count, one.mean) == (2, 17.5)
    half = 12.7062 * np.std([12.0, 23.0], ddof=1) / np.sqrt(2)
    assert one.high - one.mean == pytest.approx(half, rel=1e-4)
    sides = [frame[frame["method"] == name] for name in ("emigm", "maskgit")]
    (row,) = paired_test(*sides).itertuples()
    assert (row.seeds, row.difference) == (2, pytest.approx(5.0))


def test_rows_of_several_sampling_seeds_pair_with_rows_of_one(tmp_path: Path) -> None:
    alone = [record("maskgit", 8, seed, scores={FID: 30.0}) for seed in VALUES]
    frame = read_results(store(tmp_path / "results", *rows(), *alone))
    (row,) = paired_test(*(frame[frame["method"] == name] for name in ("emigm", "maskgit"))).itertuples()
    assert (row.seeds, row.before) == (2, 17.5)


def test_sampling_seeds_are_no_series_of_their_own(frame: pd.DataFrame) -> None:
    assert set(frame["series"]) == {"emigm", "maskgit"}


def test_a_model_that_was_sampled_once_has_no_spread(tmp_path: Path) -> None:
    frame = read_results(store(tmp_path / "results", record(), record(seed=1)))
    assert sampling_spread(frame).empty
    assert printable_spread(frame).empty
    assert "sampling seeds" not in methods_text(frame)


def test_the_page_and_the_methods_text_name_the_spread(tmp_path: Path, frame: pd.DataFrame) -> None:
    assert "3 sampling seeds each" in methods_text(frame)
    page = report_of(tmp_path / "results", tmp_path / "page").read_text(encoding="utf-8")
    assert 'id="sampling-spread"' in page
    assert "over its sampling seeds, pooled over models" in page
