"""Paired differences with their chances, held to scipy, to a simulation, and to what is written by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mgbench.errors import UserError
from mgbench.report.frame import read_results
from mgbench.report.paired import interval
from mgbench.report.significance import Limit, holm, p_value, paired_test
from mgbench.report.summary import half_width
from tests.report.synthetic import record, store

FID, ACCURACY = "fid[digits_cnn]", "accuracy[digits_cnn]"


def side(root, method, fids, steps=(8,), **changes):
    rows = [
        record(method, step, seed, scores={FID: fid, ACCURACY: 0.9}, **changes) for step in steps for seed, fid in fids
    ]
    return read_results(store(root / method, *rows))


def both(tmp_path, before, after, **options):
    sides = (
        side(tmp_path, "emigm", list(enumerate(before)), **options),
        side(tmp_path, "maskgit", list(enumerate(after))),
    )
    return paired_test(*sides).set_index("metric")


def test_it_is_the_paired_t_test_of_scipy(tmp_path):
    before, after = [10.0, 12.0, 11.0, 13.0], [9.0, 11.5, 10.5, 11.0]
    row = both(tmp_path, before, after).loc[FID]
    theirs = stats.ttest_rel(after, before)
    assert row["p"] == pytest.approx(theirs.pvalue)
    assert (row["low"], row["high"]) == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    assert (row["before"], row["after"], row["difference"], row["pairs"]) == (11.5, 10.5, -1.0, 4)


def test_rows_are_paired_by_seed_and_what_has_no_partner_is_left_out(tmp_path):
    sides = side(tmp_path, "emigm", [(0, 1.0), (1, 2.0), (5, 99.0)]), side(tmp_path, "maskgit", [(1, 2.5), (0, 1.5)])
    row = paired_test(*sides).set_index("metric").loc[FID]
    assert (row["difference"], row["pairs"]) == (0.5, 2)


def test_one_pair_says_nothing_of_chance(tmp_path):
    row = both(tmp_path, [10.0], [9.0]).loc[FID]
    assert row["difference"] == -1
    assert row[["low", "high", "p", "p_adjusted"]].isna().all()


def test_no_difference_at_all_is_no_news_and_the_same_one_every_time_is_sure():
    assert p_value(np.zeros(3)) == 1
    assert p_value(np.full(3, 0.5)) == 0


def test_every_number_of_steps_is_a_row_and_only_common_ones_count(tmp_path):
    first = side(tmp_path, "emigm", [(0, 1.0), (1, 2.0)], steps=(4, 8))
    second = side(tmp_path, "maskgit", [(0, 2.0), (1, 4.0)], steps=(8, 16))
    table = paired_test(first, second)
    assert table["sampling_steps"].unique().tolist() == [8]
    assert set(table["metric"]) == {FID, ACCURACY}


def test_a_score_of_the_model_is_compared_once_whatever_the_steps(tmp_path):
    sides = []
    for method, bits in (("emigm", (4.0, 4.5)), ("maskgit", (3.5, 4.25))):
        rows = [
            record(method, steps, seed, scores={FID: 9.0, "bits_per_dim": value}, recipe={"tokenizer": "vq(codes=64)"})
            for steps in (4, 8)
            for seed, value in enumerate(bits)
        ]
        sides.append(read_results(store(tmp_path / method, *rows)))
    table = paired_test(*sides)
    (bits,) = table[table["metric"].str.startswith("bits_per_dim")].to_dict("records")
    assert (bits["pairs"], bits["before"], bits["after"], bits["difference"]) == (2, 4.25, 3.875, -0.375)
    assert pd.isna(bits["sampling_steps"])
    assert table[table["metric"] == FID]["sampling_steps"].tolist() == [4, 8]


def test_other_protocols_are_refused(tmp_path):
    first, second = side(tmp_path, "emigm", [(0, 1.0)]), side(tmp_path, "maskgit", [(0, 1.0)], protocol="another")
    with pytest.raises(UserError, match=r"under 'digits.* the other under 'another'"):
        paired_test(first, second)


def test_holm_is_the_textbook_s_correction():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm(np.array([0.6, np.nan, 0.9])), [1.0, np.nan, 1.0])


def test_holm_keeps_false_alarms_rare():
    """Ten comparisons without any difference: at least one p below 0.05 in about 5 % of the experiments, and 40 % without."""
    random = np.random.default_rng(0)
    looks = [np.array([p_value(random.normal(size=5)) for _ in range(10)]) for _ in range(1000)]
    assert np.mean([(holm(p) < 0.05).any() for p in looks]) < 0.07
    assert np.mean([(p < 0.05).any() for p in looks]) > 0.3


@pytest.mark.parametrize("seeds", [3, 5])
def test_the_interval_covers_the_truth_as_often_as_it_says(seeds):
    """200 experiments of a few seeds each: the 95 % interval holds the true mean in 90 to 99 % of them."""
    random = np.random.default_rng(seeds)
    covered = []
    for _ in range(200):
        scores = 3.0 + 0.4 * random.standard_normal(seeds)
        _, low, high = interval(scores)
        half = half_width(np.array([scores.std(ddof=1)]), np.array([seeds]))[0]
        assert high - low == pytest.approx(2 * half)
        covered.append(low <= 3.0 <= high)
    assert 0.90 <= np.mean(covered) <= 0.99


def table(before, after, metric=FID):
    return pd.DataFrame({"metric": [metric], "before": [before], "difference": [after - before]})


@pytest.mark.parametrize(
    ("limit", "before", "after", "fails"),
    [
        ("fid:+5%", 2.0, 2.11, True),
        ("fid:+5%", 2.0, 2.09, False),
        ("fid:+5%", 2.0, 1.0, False),
        ("fid:+0.2", 2.0, 2.3, True),
        ("fid[digits_cnn]:+0.2", 2.0, 2.1, False),
        ("fid:-10%", 2.0, 1.7, True),
        ("fid:-10%", 2.0, 1.9, False),
        ("fid:+0%", 2.0, 2.001, True),
        ("fid:-0%", 2.0, 2.001, False),
        ("fid:-0%", 2.0, 1.999, True),
    ],
)
def test_a_limit_is_exceeded_in_its_direction_only(limit, before, after, fails):
    assert len(Limit.parse(limit).exceeded(table(before, after))) == fails


@pytest.mark.parametrize("text", ["fid", "fid:5%", "fid:+x", ":+5%", "fid:+5%%"])
def test_a_limit_that_cannot_be_read_is_refused(text):
    with pytest.raises(UserError, match="write for example"):
        Limit.parse(text)


def test_a_limit_on_a_score_that_is_not_there_names_the_nearest():
    with pytest.raises(UserError, match=r"did you mean 'fid\[digits_cnn\]'"):
        Limit.parse("fidd[digits_cnn]:+1").exceeded(table(1.0, 1.0))
