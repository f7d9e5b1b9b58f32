"""Others' results are taken whole or not at all, and nothing of ours is replaced."""

import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mgbench.errors import UserError
from mgbench.report import read_results
from mgbench.results.layout import Layout
from mgbench.results.maintenance.archive import opened
from mgbench.results.maintenance.check import examine
from mgbench.results.maintenance.merge import Merged, merge
from mgbench.results.record import Record, StudyView, load_study
from mgbench.results.store import MANIFEST, RECORD, Store
from tests.report.synthetic import FID, grid, record

ROWS = grid(methods=("emigm",), steps=(4, 8), seeds=range(2))


def put(text: str) -> Callable[[Path], None]:
    def writer(path: Path) -> None:
        path.write_text(text)

    return writer


def stored(root: Path, rows: list[Record], weights: str = "weights", study: str = "grid") -> Store:
    store = Store(root)
    for row in rows:
        model = store.layout.model(row.training_key)
        store.save_folder(
            model, {"model.safetensors": put(f"{weights} {row.training_key}"), "training.csv": put("step")}
        )
        store.save_record(row, {"images.npz": put("images")})
    store.layout.real("data").parent.mkdir(exist_ok=True)
    np.savez(store.layout.real("data"), images=np.zeros(1), labels=np.zeros(1))
    store.layout.log(rows[0].training_key).parent.mkdir(exist_ok=True)
    store.layout.log(rows[0].training_key).write_text("step 1")
    store.save_study(StudyView(study, tuple((row.key, row.method) for row in rows), "mgbench run"))
    return store


@pytest.fixture
def theirs(tmp_path: Path) -> Store:
    return stored(tmp_path / "theirs", ROWS)


@pytest.fixture
def ours(tmp_path: Path) -> Store:
    return Store(tmp_path / "ours")


def content(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def rooms(found: Merged) -> dict[str, int]:
    return {room: len(names) for room, names in found.taken.items()}


def test_everything_is_taken_byte_by_byte_and_the_report_reads_it(theirs: Store, ours: Store) -> None:
    found = merge(theirs.root, ours)
    assert (found.conflicts, found.damaged) == ([], [])
    assert rooms(found) == {"models": 2, "real": 1, "runs": 4, "studies": 1, "logs": 1}
    assert content(ours.root) == content(theirs.root)
    assert examine(ours.root).broken == []
    assert list(read_results(ours.root, "grid")["key"]) == [row.key for row in ROWS]


def test_what_is_here_already_is_counted_and_stays(theirs: Store, ours: Store) -> None:
    merge(theirs.root, ours)
    before = content(ours.root)
    again = merge(theirs.root, ours)
    assert (again.taken, again.conflicts, again.damaged) == ({}, [], [])
    here = {room: len(names) for room, names in again.here.items()}
    assert here == {"models": 2, "real": 1, "runs": 4, "studies": 1}
    assert content(ours.root) == before


def test_a_row_with_other_scores_is_a_conflict_and_ours_stays(theirs: Store, ours: Store) -> None:
    mine = replace(ROWS[0], scores={**ROWS[0].scores, FID: 1.0})
    ours.save_record(mine)
    found = merge(theirs.root, ours)
    (said,) = found.conflicts
    assert f"runs/{mine.key} (emigm): {FID} is 1.0 here and {ROWS[0].scores[FID]} there" in said
    assert ours.record(mine.key) == mine
    assert rooms(found)["runs"] == 3


def test_a_row_that_failed_here_is_a_conflict(theirs: Store, ours: Store) -> None:
    ours.save_record(replace(ROWS[0], status="failed", reason="no memory", scores={}))
    (said,) = merge(theirs.root, ours).conflicts
    assert "failed here and done there" in said


def test_rows_of_a_model_that_is_another_one_here_are_left_out(theirs: Store, ours: Store) -> None:
    stored(ours.root, ROWS[:1], weights="others", study="mine")
    before = content(ours.root)
    found = merge(theirs.root, ours)
    key = ROWS[0].training_key
    assert found.conflicts[0] == (f"models/{key} is another one here: model.safetensors differs; what is here stays")
    left = [row for row in ROWS[1:] if row.training_key == key]
    assert left
    assert all(any(f"runs/{row.key}" in said and "left out" in said for said in found.conflicts) for row in left)
    assert {row.key for row in ROWS} - set(found.taken["runs"]) == {ROWS[0].key, *(row.key for row in left)}
    assert before.items() <= content(ours.root).items()


def test_a_model_that_is_not_finished_here_is_left_alone(theirs: Store, ours: Store) -> None:
    ours.save_checkpoint(ours.layout.model(ROWS[0].training_key), b"half")
    found = merge(theirs.root, ours)
    assert any("is not finished here" in said for said in found.conflicts)
    assert not (ours.layout.model(ROWS[0].training_key) / MANIFEST).exists()


@pytest.mark.parametrize("place", ["runs", "models"])
def test_what_does_not_match_its_checksum_is_left_out(theirs: Store, ours: Store, place: str) -> None:
    row = ROWS[0]
    folder = theirs.layout.run(row.key) if place == "runs" else theirs.layout.model(row.training_key)
    path = folder / (RECORD if place == "runs" else "model.safetensors")
    path.write_text(path.read_text().replace("emigm", "maskgit") + " ")
    if place == "runs":
        path.write_text(path.read_text().replace('"done"', '"failed"'))
    found = merge(theirs.root, ours)
    (said,) = found.damaged
    assert "checksum does not match" in said
    assert not (Layout(ours.root).root / place / folder.name).exists()


def test_a_file_outside_of_its_folder_is_refused(theirs: Store, ours: Store) -> None:
    theirs.save_folder(theirs.layout.model("evil"), {"../../taken.txt": put("taken")})
    found = merge(theirs.root, ours)
    assert any("outside of its folder" in said for said in found.damaged)
    assert not (ours.root / "taken.txt").exists()
    assert not (ours.root / "models" / "evil").exists()


def test_a_study_of_the_same_name_with_other_rows_gets_a_name_of_its_own_once(theirs: Store, ours: Store) -> None:
    mine = record("maskgit", 4)
    stored(ours.root, [mine])
    found = merge(theirs.root, ours)
    assert found.taken["studies"] == ["grid-2"]
    assert found.conflicts == ["the study grid has other rows here; theirs is now grid-2"]
    assert load_study(ours.layout.study("grid")).rows == ((mine.key, "maskgit"),)
    assert list(read_results(ours.root, "grid-2")["key"]) == [row.key for row in ROWS]
    again = merge(theirs.root, ours)
    assert (again.here["studies"], again.conflicts) == (["grid-2"], [])


def test_a_newer_file_is_said_and_left_out(theirs: Store, ours: Store) -> None:
    path = theirs.layout.run(ROWS[0].key) / RECORD
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 99}))
    found = merge(theirs.root, ours)
    assert any("newer mgbench" in said for said in found.damaged)
    assert len(found.taken["runs"]) == 3


@pytest.mark.parametrize("form", ["zip", "gztar"])
@pytest.mark.parametrize("top", [".", "theirs"])
def test_archives_are_opened_whether_the_folder_is_in_them_or_they_are_the_folder(
    theirs: Store, ours: Store, form: str, top: str
) -> None:
    root = theirs.root.parent if top == "theirs" else theirs.root
    archive = Path(shutil.make_archive(str(theirs.root.parent / "sent"), form, root, top))
    with opened(archive, ours.root) as folder:
        merge(folder, ours)
    assert content(ours.root) == content(theirs.root)


def test_an_archive_that_leads_outside_is_refused(ours: Store, tmp_path: Path) -> None:
    (tmp_path / "evil.txt").write_text("evil")
    with tarfile.open(tmp_path / "sent.tar", "w") as file:
        file.add(tmp_path / "evil.txt", "../../taken.txt")
    with pytest.raises(UserError, match="cannot be unpacked"), opened(tmp_path / "sent.tar", ours.root):
        pass
    assert not list(tmp_path.rglob("taken.txt"))
    assert list(ours.root.iterdir()) == []


def test_what_is_no_results_folder_is_refused(theirs: Store, ours: Store, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "page.zip").write_text("no archive")
    for name, said in (("empty", "no folder 'runs'"), ("page.zip", "neither a folder nor"), ("gone", "nothing at")):
        with pytest.raises(UserError, match=said), opened(tmp_path / name, ours.root):
            pass
    with pytest.raises(UserError, match="results folder itself"):
        merge(theirs.root, theirs)
