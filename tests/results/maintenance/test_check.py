"""What a checkup finds besides damage (that is in test_survival): leftovers, strangers, newer files, rows that wait."""

import json
import os
import shutil
import time
from collections.abc import Callable
from inspect import signature
from pathlib import Path

import pytest

from mgbench.errors import UserError
from mgbench.results.layout import Layout
from mgbench.results.maintenance.check import ROOMS, examine, mend
from mgbench.results.maintenance.findings import ABANDONED, Checkup
from mgbench.results.record import Record, StudyView
from mgbench.results.schema import seal
from mgbench.results.store import CHECKPOINT, MANIFEST, RECORD, Store
from tests.report.synthetic import record

ROW = record("emigm", 8, training_key="model1", data="data1")


def put(text: str) -> Callable[[Path], None]:
    def writer(path: Path) -> None:
        path.write_text(text)

    return writer


@pytest.fixture
def results(tmp_path: Path) -> Store:
    """A row, its model, and the study they make up."""
    store = Store(tmp_path / "results")
    store.save_record(ROW, {"images.npz": put("images"), "film.npz": put("film")})
    store.save_folder(store.layout.model("model1"), {"model.safetensors": put("weights"), "training.csv": put("step")})
    store.save_study(StudyView("grid", ((ROW.key, "emigm"),), "mgbench run"))
    return store


def told(checkup: Checkup) -> dict[str, list[str]]:
    """What is told, by the names of its paths."""
    return {
        about: sorted(str(path.relative_to(checkup.root)) for path in paths)
        for about, paths in checkup.by_category.items()
    }


def test_every_place_of_the_layout_is_looked_at() -> None:
    layout = Layout(Path("results"))
    places = [getattr(layout, name) for name in vars(Layout) if not name.startswith("_")]
    paths = [place(*["k"] * len(signature(place).parameters)) if callable(place) else place for place in places]
    assert {path.relative_to("results").parts[0] for path in paths if path != layout.root} == set(ROOMS)


def test_a_folder_in_which_all_is_well_is_counted_and_nothing_is_said(results: Store) -> None:
    seen: list[int] = []
    checkup = examine(results.root, lambda checkup: seen.append(checkup.files))
    assert checkup.findings == []
    assert (checkup.files, seen[-1]) == (7, 7)
    assert checkup.bytes == sum(path.stat().st_size for path in results.root.rglob("*") if path.is_file())
    assert mend(checkup) == []


def test_a_finding_says_what_is_broken_what_that_costs_and_what_to_do(results: Store) -> None:
    path = results.layout.model("model1") / "model.safetensors"
    path.write_text("weighty")
    (finding,) = examine(results.root).findings
    assert finding.broken
    assert finding.says == (
        f"{path}: its checksum does not match; the model counts as not trained, and the next sampling of it trains it "
        f"again; mgbench doctor {results.root} --mend sets it aside, and the next run computes it again"
    )


def test_a_file_that_is_missing_beside_a_record_is_found_and_the_row_set_aside(results: Store) -> None:
    folder = results.layout.run(ROW.key)
    (folder / "film.npz").unlink()
    checkup = examine(results.root)
    assert [finding.paths for finding in checkup.broken] == [(folder / "film.npz",)]
    assert "it is missing" in checkup.broken[0].says
    mend(checkup)
    after = examine(results.root)
    assert after.broken == []
    assert told(after)["missing"] == ["studies/grid.json"]
    assert (folder / f"{RECORD}.corrupt").exists()


def test_a_row_keeps_its_scores_while_it_waits_for_what_was_set_aside(results: Store) -> None:
    folder = results.layout.run(ROW.key)
    (folder / "film.npz").write_text("firm")
    mend(examine(results.root))
    after = examine(results.root)
    assert after.broken == []
    assert told(after) == {"aside": [f"runs/{ROW.key}/film.npz.corrupt"], "waiting": [f"runs/{ROW.key}"]}
    assert (folder / RECORD).exists()
    assert results.record(ROW.key) is None


def test_several_files_of_a_folder_are_found_one_by_one_and_mended_at_once(results: Store) -> None:
    folder = results.layout.model("model1")
    (folder / "model.safetensors").write_text("weighty")
    (folder / "training.csv").unlink()
    checkup = examine(results.root)
    assert len(checkup.broken) == 2
    assert len(mend(checkup)) == 2
    after = examine(results.root)
    assert after.broken == []
    assert told(after)["unfinished"] == ["models/model1"]


def test_what_was_set_aside_is_told_and_no_error_and_stays(results: Store) -> None:
    path = results.layout.model("model1") / "model.safetensors.corrupt"
    path.write_text("0123456789")
    checkup = examine(results.root)
    assert checkup.broken == []
    (finding,) = checkup.findings
    assert "1 file (models/model1/model.safetensors.corrupt) set aside" in finding.says
    assert "10 bytes" in finding.says
    assert mend(checkup) == []
    assert path.exists()


def aged(path: Path, seconds: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("half")
    os.utime(path, (time.time() - seconds,) * 2)
    return path


@pytest.mark.parametrize("folder", ["", "runs", "models/model1", f"runs/{ROW.key}", "studies"])
def test_what_a_process_left_half_written_is_removed_once_it_is_old_enough(results: Store, folder: str) -> None:
    old = aged(results.root / folder / ".record.json.ab12cd_9", ABANDONED + 60)
    new = aged(results.root / folder / ".images.npz.ab12cd_9", ABANDONED - 60)
    checkup = examine(results.root)
    assert checkup.broken == []
    assert list(told(checkup)) == ["writing", "leftover"]
    assert mend(checkup) == [f"{old} is removed"]
    assert (old.exists(), new.exists()) == (False, True)


@pytest.mark.parametrize("name", ["model1.json", ".0123456789abcdef0123456789abcdef"])
def test_a_claim_that_nobody_keeps_up_is_removed(results: Store, name: str) -> None:
    path = aged(results.root / "locks" / name, ABANDONED - 60)
    checkup = examine(results.root)
    assert told(checkup) == {"locked": [f"locks/{name}"]}
    assert mend(checkup) == []
    aged(path, ABANDONED + 60)
    mend(examine(results.root))
    assert not path.exists()


def test_what_a_run_told_of_itself_is_read(results: Store) -> None:
    path = results.layout.runs_at_work / "grid-12345678.json"
    path.parent.mkdir()
    path.write_text(seal({"study": "grid"}))
    assert examine(results.root).findings == []
    path.write_text(path.read_text()[:-9])
    checkup = examine(results.root)
    assert [finding.paths for finding in checkup.broken] == [(path,)]
    mend(checkup)
    assert not path.exists()


def test_what_mgbench_did_not_write_is_told_and_left_alone(results: Store) -> None:
    strange = [
        *("notes.txt", "runs.zip", "real/x.png", "studies/grid.toml", "logs/x.txt"),
        *(f"runs/{ROW.key}/mine.txt", "models/model1/mine.txt"),
    ]
    for name in strange:
        (results.root / name).parent.mkdir(exist_ok=True)
        (results.root / name).write_text("mine")
    (results.root / "more").mkdir()
    checkup = examine(results.root)
    assert told(checkup) == {"unknown": sorted([*strange, "more"])}
    mend(checkup)
    assert all((results.root / name).exists() for name in strange)


def test_the_page_about_the_folder_is_no_stranger(results: Store) -> None:
    (results.root / "README.md").write_text("what lies here")
    assert "unknown" not in told(examine(results.root))


def test_files_of_a_newer_version_are_told_once_and_left_alone(results: Store) -> None:
    paths = [
        results.layout.run(ROW.key) / RECORD,
        results.layout.model("model1") / MANIFEST,
        results.layout.study("grid"),
    ]
    for path in paths:
        path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 99}))
    before = [path.read_text() for path in paths]
    checkup = examine(results.root)
    (finding,) = checkup.findings
    assert finding.broken
    assert "3 files of a newer mgbench" in finding.says
    assert "update mgbench" in finding.says
    assert mend(checkup) == []
    assert [path.read_text() for path in paths] == before


def test_a_training_that_is_not_finished_is_told_and_its_checkpoint_read(results: Store) -> None:
    folder = results.layout.model("other")
    results.save_checkpoint(folder, b"half way")
    checkup = examine(results.root)
    assert checkup.broken == []
    assert told(checkup) == {"unfinished": ["models/other"]}
    (folder / CHECKPOINT).write_bytes(b"x" * 50)
    (finding,) = examine(results.root).broken
    assert "the training begins anew" in finding.says


def test_the_checkpoint_of_a_finished_training_is_removed(results: Store) -> None:
    folder = results.layout.model("model1")
    results.save_checkpoint(folder, b"half way")
    checkup = examine(results.root)
    assert told(checkup) == {"spent": ["models/model1/checkpoint.pt"]}
    mend(checkup)
    assert examine(results.root).findings == []


def test_what_no_row_refers_to_is_told_unless_a_row_cannot_be_read(results: Store) -> None:
    results.save_folder(results.layout.model("lost"), {"model.safetensors": put("weights")})
    assert told(examine(results.root)) == {"unused": ["models/lost"]}
    (results.layout.run(ROW.key) / RECORD).write_text("")
    checkup = examine(results.root)
    assert "unused" not in told(checkup)
    mend(checkup)
    assert "unused" not in told(examine(results.root))


def test_a_record_of_the_first_schemas_says_nothing_of_what_lies_beside_it(results: Store) -> None:
    folder = results.layout.run("3fa9c1d2e4b50617")
    folder.mkdir()
    shutil.copy(Path(__file__).parents[1] / "stored" / "record-1.json", folder / RECORD)
    (folder / "images.npz").write_text("images")
    checkup = examine(results.root)
    (former,) = checkup.findings
    assert "with keys of an earlier version" in former.says
    assert not former.broken


@pytest.mark.parametrize("content", [[], {"files": 3}, {"name": "grid"}])
def test_a_sealed_text_of_another_sort_is_broken(results: Store, content: object) -> None:
    paths = [
        results.layout.run(ROW.key) / RECORD,
        results.layout.model("model1") / MANIFEST,
        results.layout.study("grid"),
    ]
    for path in paths:
        path.write_text(seal(content))
    checkup = examine(results.root)
    assert sorted(finding.paths[0] for finding in checkup.broken) == sorted(paths)
    mend(checkup)
    assert examine(results.root).broken == []


def test_a_file_in_the_place_of_a_whole_room_is_found_and_mended(results: Store) -> None:
    (results.root / "references").write_text("a file")
    checkup = examine(results.root)
    assert [finding.paths for finding in checkup.broken] == [(results.root / "references",)]
    mend(checkup)
    assert examine(results.root).broken == []


def test_what_may_not_be_read_is_told_and_not_mended(results: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_text

    def refuse(self: Path, **rest: str) -> str:
        if self.name == RECORD:
            raise PermissionError(13, "Permission denied", str(self))
        return read(self, **rest)

    monkeypatch.setattr(Path, "read_text", refuse)
    (finding,) = examine(results.root).broken
    assert "permission denied; ask its owner" in finding.says
    assert finding.mend is None


def test_a_folder_that_may_not_be_listed_is_told(results: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = Path.iterdir

    def refuse(self: Path) -> object:
        if self.name == "models":
            raise PermissionError(13, "Permission denied", str(self))
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", refuse)
    broken = examine(results.root).broken
    assert [finding.paths for finding in broken] == [(results.root / "models",)]


def test_what_goes_away_meanwhile_is_no_finding(results: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run renames and removes what it has written while a checkup goes on."""

    def gone(path: Path) -> Record:
        raise FileNotFoundError(path)

    monkeypatch.setattr("mgbench.results.maintenance.check.load_record", gone)
    assert examine(results.root).broken == []


def test_a_folder_that_cannot_be_written_is_not_mended(results: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    (results.layout.model("model1") / "training.csv").write_text("x")
    checkup = examine(results.root)

    def refuse(**rest: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(UserError, match="read-only file system"):
        mend(checkup)
    assert (results.layout.model("model1") / MANIFEST).exists()


def test_a_file_is_no_results_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is no folder"):
        examine(tmp_path / "file")
