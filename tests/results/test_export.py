"""Rows for other programs: nothing is lost on the way, and types stay where the format has them."""

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from mgbench.errors import UserError
from mgbench.report import read_results
from mgbench.results.export import EXPORTS, exporter
from mgbench.results.layout import Layout
from mgbench.results.maintenance.inventory import stored_records
from tests.report.synthetic import FID, record, store, tokenizer


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    more = {"solver": None, "sampling_steps": 8, "clip": 0.5}
    rows = [
        record("emigm", 8, recipe=more, warnings=["γ < 0.5, “quoted”\nand broken"]),
        record("maskgit", 4, scores={FID: math.inf}, reason='a "reason", with commas'),
        tokenizer(),
    ]
    return store(tmp_path / "results", *rows)


def written(stored: Path, suffix: str) -> tuple[Path, pd.DataFrame]:
    frame, path = read_results(stored), stored.parent / "deeper" / f"rows{suffix}"
    exporter(path)(path, frame, stored_records(Layout(stored)).values())
    return path, frame


def plain(value: Any) -> Any:
    return None if value is None or (isinstance(value, float) and math.isnan(value)) else value


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_has_every_row_and_column(stored: Path, suffix: str) -> None:
    path, frame = written(stored, suffix)
    found = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
    assert list(found) == list(map(str, frame))
    assert list(found["key"]) == list(frame["key"])


def test_a_csv_gives_back_every_value(stored: Path) -> None:
    path, frame = written(stored, ".csv")
    found = pd.read_csv(path, dtype=str, keep_default_na=False)
    for name in map(str, frame):
        for text, value in zip(found[name], frame[name].tolist(), strict=True):
            value = plain(value)
            if value is None:
                assert text == ""
            elif isinstance(value, str):
                assert text == value
            else:
                assert json.loads(text) == value


def test_whole_numbers_stay_whole_in_a_csv(stored: Path) -> None:
    path, _ = written(stored, ".csv")
    assert set(pd.read_csv(path, dtype=str, keep_default_na=False)["sampling_steps"]) == {"8", "4", ""}


def test_parquet_keeps_types_and_what_is_not_there(stored: Path) -> None:
    path, frame = written(stored, ".parquet")
    table = parquet.read_table(path)
    types = {name: table.schema.field(name).type for name in table.column_names}
    assert types["sampling_steps"] == types["seed"] == pa.int64()
    assert types["labels"] == pa.bool_()
    assert types["clip"] == types[FID] == types["nfe"] == pa.float64()
    assert types["method"] == types["mask_schedule"] == pa.string()
    assert types["metrics"] == types["warnings"] == pa.list_(pa.string())
    for name in table.column_names:
        assert table[name].to_pylist() == [plain(value) for value in frame[name].tolist()], name


def test_a_column_of_several_types_is_text_in_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame({"mixed": [1, "word", None, [1, "a"]], "huge": [2**70, 1, None, 2]}, dtype=object)
    path = tmp_path / "rows.parquet"
    EXPORTS[".parquet"](path, frame, [])
    found = parquet.read_table(path)
    assert found["mixed"].to_pylist() == ["1", "word", None, '[1, "a"]']
    assert found["huge"].to_pylist() == [str(2**70), "1", None, "2"]


def test_json_has_an_object_per_row_with_objects_in_it(stored: Path) -> None:
    path, frame = written(stored, ".json")

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    rows = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    records = stored_records(Layout(stored))
    assert [row["key"] for row in rows] == list(frame["key"])
    for row in rows:
        found = records[row["key"]]
        assert row["recipe"] == found.recipe
        assert row["costs"] == found.costs
        assert row["origin"] == found.origin
        assert row["scores"] == {name: value if math.isfinite(value) else None for name, value in found.scores.items()}
        assert (row["warnings"], row["files"], row["about"]) == (found.warnings, found.files, found.about)
    assert [row["series"] for row in rows] == list(frame["series"])


@pytest.mark.parametrize("name", ["rows.xlsx", "rows", ".csv", "rows.csv.gz"])
def test_a_suffix_that_is_none_of_ours_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"ends in \.csv, \.parquet, \.json, and"):
        exporter(Path(name))


def test_a_suffix_may_be_in_capitals_and_a_folder_is_no_file(tmp_path: Path) -> None:
    assert exporter(Path("ROWS.CSV")) is EXPORTS[".csv"]
    (tmp_path / "rows.csv").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        exporter(tmp_path / "rows.csv")


@pytest.mark.parametrize("suffix", EXPORTS)
def test_where_nothing_can_be_written_another_file_is_asked_for(stored: Path, suffix: str) -> None:
    (stored.parent / "deeper").write_text("a file")
    with pytest.raises(UserError, match=r"cannot write .*; name another file with --export"):
        written(stored, suffix)
