"""Rows under keys of an earlier version are recognised, counted and said, and never taken for results of this one."""

import json
import shutil
from pathlib import Path

import pytest

from mgbench.recipes.study import Study
from mgbench.results.former import former_records, former_rows, is_former
from mgbench.results.layout import Layout
from mgbench.results.maintenance.check import examine
from mgbench.results.record import Record
from mgbench.results.schema import seal
from mgbench.results.store import RECORD, Store
from mgbench.trials.plan import plan_rows
from tests.doubles import TINY
from tests.laws.registered import registry

STORED = Path(__file__).parent / "stored"
KEY = "3fa9c1d2e4b50617"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A results folder with one row of an earlier schema, and one of this."""
    for key, name in ((KEY, "record-4.json"),):
        (tmp_path / "runs" / key).mkdir(parents=True)
        shutil.copy(STORED / name, tmp_path / "runs" / key / RECORD)
    Store(tmp_path).save_record(Record("0" * 16, "1" * 16, "emigm", "done", {}))
    return tmp_path


@pytest.mark.parametrize("path", sorted(STORED.glob("record-*.json")), ids=lambda path: path.stem)
def test_only_rows_of_earlier_schemas_are_former(path: Path) -> None:
    assert is_former(path) == (json.loads(path.read_text())["schema"] <= 4)


def test_what_is_no_record_is_not_former(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(seal({"a": 1})[:9])
    assert not is_former(tmp_path / "x.json")
    assert not is_former(tmp_path / "none.json")
    assert not is_former(tmp_path)


def test_former_rows_are_counted_by_method(root: Path) -> None:
    layout = Layout(root)
    assert [path.parent.name for path in former_records(layout)] == [KEY]
    assert former_rows(layout, {"emigm"}, ()) == 1
    assert former_rows(layout, {"emigm"}, {KEY}) == 0
    assert former_rows(layout, {"mar"}, ()) == 0


def test_a_plan_says_so_and_computes_the_rows(root: Path) -> None:
    store = Store(root)
    (row,) = plan_rows(registry(), Study("s", {"emigm": TINY}), store)
    assert not row.standing
    (said,) = (note for note in store.notes if "earlier version" in note)
    assert said.startswith(f"1 finished row of emigm in {root} with keys of an earlier version")
    other = Store(root)
    plan_rows(registry(), Study("s", {"mar": TINY}), other)
    assert not any("earlier version" in note for note in other.notes)


def test_a_check_up_says_so(root: Path) -> None:
    said = [finding.says for finding in examine(root).findings if "earlier version" in finding.says]
    assert len(said) == 1
    assert said[0].startswith(f"1 folder (runs/{KEY}) with keys of an earlier version")
