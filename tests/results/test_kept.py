"""Kept studies: what is read back is what was stored, in files that name no machine's paths."""

from dataclasses import replace

import pytest

from mgbench.errors import UserError
from mgbench.results.kept import FACTS, ROWS, keep, read_kept
from mgbench.results.layout import Layout
from tests.report.synthetic import record, store, store_study, tokenizer, unfinished

SAID = {"dataset": "digits", "train_steps": 3200, "metrics": ["fid", "prdc(k=3)"], "ema": 0.998, "sampler": None}
ROWS_STORED = [
    *(record(method, steps, seed, recipe=SAID) for method in ("emigm", "maskgit") for steps in (4, 8) for seed in (0, 1)),
    replace(unfinished("mar", 4, 0, "failed", "no\nmemory, \"sorry\" (log: /home/me/results/logs/a.log)"), tail="a line"),
    tokenizer(),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    store(tmp_path / "results", *ROWS_STORED)
    store_study(tmp_path / "results", "s", [*((row.key, f"my {row.method}") for row in ROWS_STORED), ("gone", "x")])
    assert keep(Layout(tmp_path / "results"), "s", tmp_path / "kept") == len(ROWS_STORED)
    return tmp_path / "kept"


def test_rows_come_back_to_six_digits(folder):
    facts, records = read_kept(folder)
    assert (facts["study"], facts["missing"]) == ("s", 1)
    assert [row.key for row in records] == [row.key for row in ROWS_STORED]
    for found, stored in zip(records, ROWS_STORED, strict=True):
        assert found.method == f"my {stored.method}"
        assert (found.status, found.about, found.protocol) == (stored.status, stored.about, stored.protocol)
        assert {name: value for name, value in found.recipe.items() if value is not None} == {
            name: value for name, value in stored.recipe.items() if value is not None
        }
        assert found.scores == pytest.approx(stored.scores, rel=1e-5)
        assert found.costs == pytest.approx(stored.costs, rel=1e-5)
        assert found.declared == stored.declared


def test_what_is_kept_is_small_and_names_no_path(folder):
    text = (folder / ROWS).read_text() + (folder / FACTS).read_text()
    assert "/home/me" not in text
    assert "no\nmemory" in read_kept(folder)[1][-2].reason
    assert len(text.encode()) < 600 * len(ROWS_STORED)


def test_text_that_json_would_read_as_something_else_stays_text(tmp_path):
    row = record(recipe={"dataset": "8", "tokenizer": "true", "network": "null"})
    store(tmp_path, row)
    store_study(tmp_path, "s", [(row.key, "m")])
    keep(Layout(tmp_path), "s", tmp_path / "kept")
    (found,) = read_kept(tmp_path / "kept")[1]
    assert [found.recipe[name] for name in ("dataset", "tokenizer", "network")] == ["8", "true", "null"]


def test_a_study_that_is_not_there_is_named(tmp_path):
    store(tmp_path, record())
    with pytest.raises(UserError, match="holds no study 'x'"):
        keep(Layout(tmp_path), "x", tmp_path / "kept")
