"""Rows under keys of an earlier version never stand beside rows of this one, and a report says so."""

from dataclasses import replace

import pytest

from mgbench.report import read_results, read_stored, write_report
from tests.report.synthetic import FID, record, store, store_former, store_study

# The same recipe, under a former key and with another score.
OLD = replace(record(), key="f" * 16)
OLD = replace(OLD, scores={name: 10 * value for name, value in OLD.scores.items()})


@pytest.fixture
def both(tmp_path):
    store_former(tmp_path, OLD)
    store_study(tmp_path, "old", [(OLD.key, "emigm")])
    return store(tmp_path, record(), record(steps=4))


def test_rows_of_former_keys_are_left_out_beside_others_and_said(both):
    frame = read_results(both)
    assert sorted(frame["key"]) == sorted([record().key, record(steps=4).key])
    assert frame.attrs["former"].startswith("1 row has a key of an earlier version, left out")
    assert frame.loc[frame["sampling_steps"] == 8, FID].tolist() == [record().scores[FID]]


def test_a_study_of_former_rows_alone_shows_them_and_says_what_they_are(both):
    frame = read_results(both, "old")
    assert frame["key"].tolist() == [OLD.key]
    assert frame.attrs["missing"] == 0
    assert "do not identify the training and sampling code" in frame.attrs["former"]


def test_a_row_that_names_no_keys_is_of_this_version_if_its_file_says_so(tmp_path):
    frame = read_results(store(tmp_path, replace(record(), keys={})))
    assert (len(frame), frame.attrs["former"]) == (1, "")


def test_the_page_says_so_before_the_headline(both, tmp_path):
    page = write_report(read_stored(both), tmp_path / "page").read_text()
    assert page.index("left out: they are not mixed with rows of this version") < page.index('class="lede"')
