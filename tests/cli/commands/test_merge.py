"""`mgbench merge`: others' results from folders and archives, told in counts; what differs makes the exit code 1."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

from mgbench.results.store import Store
from tests.cli.conftest import Command
from tests.report.synthetic import FID, grid, store, store_study

ROWS = grid(methods=("emigm",), steps=(4, 8), seeds=range(2))


def sent(root: Path) -> Path:
    store(root, *ROWS)
    store_study(root, "theirs", [(row.key, row.method) for row in ROWS])
    return root


def test_a_folder_is_taken_and_reported(mgbench: Command, tmp_path: Path) -> None:
    sent(tmp_path / "sent")
    answer = mgbench("merge", "sent")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == [
        "sent: took 4 rows, 1 study",
        "'mgbench report --study theirs' reports the study",
    ]
    assert "4 rows: 4 done" in mgbench("results", "--study", "theirs").out
    assert mgbench("merge", "sent").out.splitlines() == [
        "sent: took nothing",
        "in results already: 4 rows, 1 study",
    ]


def test_a_conflict_is_said_and_exits_with_1(mgbench: Command, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "sent"), "gztar", sent(tmp_path / "theirs"))
    Store(tmp_path / "results").save_record(replace(ROWS[0], scores={**ROWS[0].scores, FID: 1.0}))
    answer = mgbench("merge", archive, "--json")
    assert answer.code == 1
    (found,) = json.loads(answer.out)
    assert (len(found["taken"]["runs"]), found["damaged"]) == (3, [])
    assert f"{FID} is 1.0 here" in found["conflicts"][0]
    assert "conflict: runs/" in mgbench("merge", archive).out


def test_a_source_that_is_not_there_is_a_sentence(mgbench: Command) -> None:
    answer = mgbench("merge", "nowhere")
    assert (answer.code, answer.out) == (2, "")
    assert "there is nothing at nowhere" in answer.err
