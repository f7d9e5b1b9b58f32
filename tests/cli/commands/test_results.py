"""`mgbench results`: rows are listed, shown, exported and removed; what is not meant is refused in a sentence."""

import io
import json
from pathlib import Path

import pandas as pd
import pytest

from mgbench.results.layout import Layout
from tests.cli.conftest import Command
from tests.report.synthetic import (
    FID,
    grid,
    record,
    store,
    store_curve,
    store_images,
    store_study,
    tokenizer,
    unfinished,
)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    rows = grid(methods=("emigm", "maskgit"), steps=(4, 16), seeds=range(2))
    failed = unfinished("maskgit", 64, 0, "failed", "RuntimeError: two tensors [4, 5] disagree (log: x.log)")
    root = store(tmp_path / "results", *rows, failed, tokenizer())
    for row in rows:
        store_images(root, row)
        store_curve(root, row, 5)
    store_study(root, "mine", [(row.key, row.method) for row in rows if row.method == "emigm"])
    return root


def rows(root: Path) -> set[str]:
    return {path.parent.name for path in (root / "runs").glob("*/record.json")}


def crowded(root: Path) -> str:
    """Add rows until, of 16 digits, one begins several keys; that digit."""
    store(root, *grid(methods=("mar",), steps=(1, 2, 4, 8), seeds=range(2)))
    heads = [key[0] for key in rows(root)]
    assert len(heads) == 18
    return max(heads, key=heads.count)


def lines(text: str, word: str) -> list[str]:
    return [line for line in text.splitlines() if word in line]


def test_every_row_is_listed_with_its_key_status_scores_and_reason(mgbench: Command, stored: Path) -> None:
    answer = mgbench("results")
    assert (answer.code, answer.err) == (0, "")
    for key in rows(stored):
        assert len(lines(answer.out, key[:8])) == 1
    assert "10 rows: 9 done, 1 failed" in answer.out
    (failed,) = lines(answer.out, "failed  ")
    assert "RuntimeError: two tensors [4, 5] disagree" in failed
    assert "64" in failed
    assert lines(answer.out, "tokenizer patch(size=2)")
    first = record("emigm", 4, 0)
    (line,) = lines(answer.out, first.key[:8])
    assert f"{first.scores[FID]:.1f}" in line


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (("--study", "mine"), 4),
        (("--where", "method=maskgit"), 5),
        (("--where", "method=maskgit and sampling_steps<=4"), 2),
        (("--study", "mine", "--where", "seed=1"), 2),
        (("--where", "status=failed"), 1),
    ],
)
def test_only_the_rows_that_are_asked_for_are_listed(
    mgbench: Command, stored: Path, options: tuple[str, ...], count: int
) -> None:
    assert f"{count} row{'s' * (count > 1)}: " in mgbench("results", *options).out


def test_an_empty_folder_and_one_without_rows_say_so(mgbench: Command, tmp_path: Path) -> None:
    assert "there are no results in results" in mgbench("results").err
    (tmp_path / "results" / "runs").mkdir(parents=True)
    answer = mgbench("results")
    assert (answer.code, answer.out) == (0, "results holds no rows yet; 'mgbench run' computes some\n")


def test_of_one_key_everything_is_shown(mgbench: Command, stored: Path) -> None:
    row = record("emigm", 4, 0)
    answer = mgbench("results", row.key[:10])
    assert (answer.code, answer.err) == (0, "")
    for said in (
        *(row.key, row.training_key, "emigm", "done", "mine", row.protocol),
        *("FID[digits_cnn]", "6.3", "NFE (network forwards per image)", "exp(rate=5.0)", "mgbench run --plugins emigm"),
        *("images.npz", "record.json"),
    ):
        assert said in answer.out, said


def test_of_several_keys_or_one_that_begins_several_a_table_is_shown(mgbench: Command, stored: Path) -> None:
    some = sorted(rows(stored))[:3]
    assert "3 rows: " in mgbench("results", *some).out
    twice = crowded(stored)
    heads = [key[0] for key in rows(stored)]
    assert f"{heads.count(twice)} rows: " in mgbench("results", twice).out


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json"])
def test_rows_are_exported_by_the_suffix_of_a_file(mgbench: Command, stored: Path, suffix: str) -> None:
    answer = mgbench("results", "--where", "method=emigm", "--export", f"out/rows.{suffix}")
    assert answer.code == 0, answer.err
    assert answer.out.startswith(f"out/rows.{suffix}: 4 rows, ")
    path = Path("out") / f"rows.{suffix}"
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet, "json": lambda file: json.loads(file.read_text())}[suffix]
    assert len(read(path)) == 4


def test_a_record_that_cannot_be_read_is_left_out_and_said(mgbench: Command, stored: Path) -> None:
    (stored / "runs" / record("emigm", 4, 0).key / "record.json").write_text("half")
    answer = mgbench("results")
    assert "9 rows" in answer.out
    assert answer.err == "mgbench: 1 record cannot be read and is left out; see mgbench doctor results\n"


def test_rows_are_removed_with_what_no_other_refers_to(mgbench: Command, stored: Path) -> None:
    gone = {record("emigm", steps, 0).key for steps in (4, 16)}
    model = Layout(stored).model(record("emigm", 4, 0).training_key)
    before = rows(stored)
    answer = mgbench("results", "--remove", "--where", "method=emigm and seed=0", "--yes")
    assert answer.code == 0, answer.err
    assert before - rows(stored) == gone
    assert not model.exists()
    assert f"models/{model.name}" in answer.out
    assert "these studies lose rows until they are run again: mine" in answer.out
    assert lines(answer.out, "removed 2 rows and 1 path that no other row uses: ")
    assert len(list((stored / "models").iterdir())) == 3


@pytest.mark.parametrize(("said", "left"), [("y\n", 9), ("n\n", 10), ("\n", 10)])
def test_removing_asks_first(
    mgbench: Command, stored: Path, monkeypatch: pytest.MonkeyPatch, said: str, left: int
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(said))
    answer = mgbench("results", record("emigm", 4, 0).key, "--remove")
    assert "remove 1 row (" in answer.out
    assert len(rows(stored)) == left
    assert answer.code == (0 if left == 9 else 1)
    assert ("nothing was removed" in answer.out) == (left == 10)


def test_where_nobody_can_answer_nothing_is_removed(
    mgbench: Command, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    answer = mgbench("results", "--study", "mine", "--remove")
    assert answer.code == 2
    assert "use --yes in scripts" in answer.err
    assert len(rows(stored)) == 10


def test_a_study_is_removed_with_its_rows(mgbench: Command, stored: Path) -> None:
    answer = mgbench("results", "--study", "mine", "--remove", "--yes")
    assert answer.code == 0, answer.err
    assert len(rows(stored)) == 6
    assert not (stored / "studies" / "mine.json").exists()


def test_all_is_removed_when_all_is_said(mgbench: Command, stored: Path) -> None:
    answer = mgbench("results", "--remove", "--all", "--yes")
    assert "removed 10 rows" in answer.out
    assert [path for path in stored.rglob("*") if path.is_file()] == []
    assert "holds no matching rows; nothing was removed" in mgbench("results", "--remove", "--all", "--yes").out


def test_what_no_row_refers_to_is_removed_when_that_is_said(mgbench: Command, stored: Path) -> None:
    assert "nothing was removed" in mgbench("results", "--remove", "--unused").out
    (stored / "models" / "lost").mkdir()
    (stored / "models" / "lost" / "model.safetensors").write_text("weights")
    answer = mgbench("results", "--remove", "--unused", "--yes")
    assert "models/lost  7 bytes" in answer.out
    assert "removed 1 path that no other row uses: 7 bytes" in answer.out
    assert not (stored / "models" / "lost").exists()
    assert len(rows(stored)) == 10


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--remove",), "--remove needs a selection: a key, --study or --where; --all"),
        (("--remove", "--all", "--study", "mine"), "--remove takes one of: --all, --unused, or a selection"),
        (("--remove", "--all", "--unused"), "--remove takes one of: --all, --unused, or a selection"),
        (("--all",), "--all only works with --remove"),
        (("--yes",), "--yes only works with --remove"),
        (("--unused",), "--unused only works with --remove"),
        (("--remove", "--all", "--export", "x.csv"), "--export and --remove cannot be combined"),
        (("--remove", "--where", "nfe>1000", "--yes"), "no row has 'nfe>1000'"),
        (("--where", "samplr=halton"), "did you mean 'sampler'?"),
        (("--where", "nonsense"), "cannot read the condition"),
        (("--study", "mien"), "did you mean 'mine'?"),
        (("zzzz",), "no row key begins with 'zzzz'"),
        (("", "--remove", "--yes"), "no row key begins with ''"),
        (("--export", "rows.xlsx"), "'rows.xlsx' ends in none of them"),
        (("--export", "results.csv/rows.csv"), "name another file with --export"),
        (("--results", "elsewhere"), "there are no results in elsewhere"),
        (("--remove", "--unused", "--results", "elsewhere"), "there are no results in elsewhere"),
    ],
)
def test_what_is_not_meant_is_refused_in_a_sentence_and_changes_nothing(
    mgbench: Command, stored: Path, arguments: tuple[str, ...], said: str
) -> None:
    (stored.parent / "results.csv").write_text("a file")
    before = sorted(stored.rglob("*"))
    answer = mgbench("results", *arguments)
    assert answer.code == 2
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert sorted(stored.rglob("*")) == before


def test_a_key_that_begins_several_names_none_of_them_for_removal(mgbench: Command, stored: Path) -> None:
    twice = crowded(stored)
    heads = [key[0] for key in rows(stored)]
    answer = mgbench("results", twice, "--remove", "--yes")
    assert answer.code == 2
    assert f"{twice!r} is the beginning of {heads.count(twice)} keys" in answer.err
    assert len(rows(stored)) == 18


@pytest.mark.parametrize("width", ["80", "160"])
def test_a_table_fits_the_screen(mgbench: Command, stored: Path, monkeypatch: pytest.MonkeyPatch, width: str) -> None:
    """Long names and reasons are broken; keys and numbers are not."""
    monkeypatch.setenv("COLUMNS", width)
    monkeypatch.setattr("mgbench.cli.output.table.WIDE", int(width))
    for arguments in ((), (record("emigm", 4, 0).key,)):
        out = mgbench("results", *arguments).out
        assert max(map(len, out.splitlines())) <= int(width)
    assert len(lines(mgbench("results").out, record("emigm", 4, 0).key[:8])) == 1
