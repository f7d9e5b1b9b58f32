"""Every write is whole or absent, every read is checked, and what is broken is set aside and said."""

import contextlib
import errno
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mgbench.errors import UserError
from mgbench.results import store as stores
from mgbench.results.record import Record, StudyView, load_study
from mgbench.results.schema import seal
from mgbench.results.store import CHECKPOINT, MANIFEST, RECORD, Store
from mgbench.results.tuning import Attempt, Tuning

ROW = Record(key="key", training_key="training", method="m", status="done", recipe={})


def put(text: str) -> Callable[[Path], None]:
    def writer(path: Path) -> None:
        path.write_text(text)

    return writer


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("below", ["", "deeper", "deeper/still"])
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("I am a file")
    with pytest.raises(UserError, match=r"cannot write .*; choose another folder with --results"):
        Store(tmp_path / "file" / below).check_writable()


def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    Store(tmp_path).check_writable()
    assert names(tmp_path) == []


def test_no_record_is_found_under_a_file(tmp_path: Path) -> None:
    """`mgbench plan` and `run` look for records before they write; a wrong --results must not end in a traceback."""
    (tmp_path / "file").write_text("I am a file")
    with contextlib.suppress(UserError):
        assert Store(tmp_path / "file").record("key") is None


def test_a_record_is_found_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.record("key") is None
    store.save_record(ROW, {"images.npz": put("images")})
    found = store.record("key")
    assert found == replace(ROW, files={"images.npz": hashlib.sha256(b"images").hexdigest()})
    assert names(tmp_path / "runs" / "key") == ["images.npz", RECORD]
    assert store.notes == []


def test_a_record_appears_only_after_what_belongs_to_it(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        raise ValueError

    store = Store(tmp_path)
    with pytest.raises(ValueError):  # noqa: PT011
        store.save_record(ROW, {"images.npz": fail})
    assert store.record("key") is None


def test_a_broken_record_is_set_aside_and_said(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save_record(ROW)
    path = tmp_path / "runs" / "key" / RECORD
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    assert store.record("key") is None
    assert names(path.parent) == [f"{RECORD}.corrupt"]
    assert len(store.notes) == 1
    assert str(path) in store.notes[0]
    assert f"{RECORD}.corrupt" in store.notes[0]
    store.save_record(ROW)
    assert store.record("key") == ROW


def test_a_newer_record_is_refused_and_left_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save_record(ROW)
    path = tmp_path / "runs" / "key" / RECORD
    newer = json.dumps({**json.loads(path.read_text()), "schema": 99})
    path.write_text(newer)
    with pytest.raises(UserError, match="newer mgbench"):
        store.record("key")
    assert path.read_text() == newer


def test_a_study_is_kept(tmp_path: Path) -> None:
    store, view = Store(tmp_path), StudyView("grid", (("key", "m"),), "mgbench run")
    store.save_study(view)
    assert load_study(store.layout.study("grid")) == view


def test_a_study_that_keeps_its_rows_keeps_its_search(tmp_path: Path) -> None:
    store, rows = Store(tmp_path), (("a", "m"), ("b", "m"))
    search = Tuning("m", "m-tuned", "fid", False, 4, 0, (0,), 1, (Attempt({}),), 0, {})
    store.save_study(StudyView("found", rows, tuning=search))
    store.save_study(StudyView("found", (("c", "m"), *rows)))
    assert load_study(store.layout.study("found")).tuning == search
    store.save_study(StudyView("found", rows))
    assert load_study(store.layout.study("found")).tuning is None


@pytest.fixture
def published(tmp_path: Path) -> tuple[Store, Path]:
    store = Store(tmp_path)
    folder = store.layout.model("training")
    store.save_folder(folder, {"a.bin": put("aaa"), "b.csv": put("bbb")})
    return store, folder


def test_a_published_folder_is_complete(published: tuple[Store, Path]) -> None:
    store, folder = published
    assert names(folder) == ["a.bin", "b.csv", MANIFEST]
    assert store.complete(folder)
    assert store.notes == []


def test_a_folder_is_complete_only_with_its_manifest(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        raise ValueError

    store = Store(tmp_path)
    assert not store.complete(tmp_path / "nothing")
    with pytest.raises(ValueError):  # noqa: PT011
        store.save_folder(tmp_path / "half", {"a.bin": put("aaa"), "b.csv": fail})
    assert not store.complete(tmp_path / "half")
    assert store.notes == []


@pytest.mark.parametrize("content", ["", "aa", "aab", "aaaa"])
def test_a_file_that_changed_is_set_aside_and_the_folder_is_no_longer_complete(
    published: tuple[Store, Path], content: str
) -> None:
    store, folder = published
    (folder / "a.bin").write_text(content)
    assert not store.complete(folder)
    assert (folder / "a.bin.corrupt").read_text() == content
    assert not (folder / "a.bin").exists()
    assert "a.bin" in store.notes[0]
    assert not store.complete(folder)
    assert len(store.notes) == 1
    store.save_folder(folder, {"a.bin": put("aaa"), "b.csv": put("bbb")})
    assert store.complete(folder)


def test_a_file_that_is_gone_makes_the_folder_incomplete(published: tuple[Store, Path]) -> None:
    store, folder = published
    (folder / "b.csv").unlink()
    assert not store.complete(folder)
    assert "b.csv" in store.notes[0]


@pytest.mark.parametrize(
    "spoil", [lambda text: text[:-5], lambda text: "", lambda text: text.replace("a.bin", "a.bim")]
)
def test_a_broken_manifest_is_set_aside(published: tuple[Store, Path], spoil: Callable[[str], str]) -> None:
    store, folder = published
    manifest = folder / MANIFEST
    manifest.write_text(spoil(manifest.read_text()))
    assert not store.complete(folder)
    assert (folder / f"{MANIFEST}.corrupt").exists()
    assert store.notes


@pytest.mark.parametrize("name", ["a.bin", MANIFEST])
def test_a_folder_in_the_place_of_a_published_file_is_set_aside(published: tuple[Store, Path], name: str) -> None:
    store, folder = published
    (folder / name).unlink()
    (folder / name).mkdir()
    assert not store.complete(folder)
    assert (folder / f"{name}.corrupt").is_dir()
    assert "it is no file" in store.notes[0]
    store.save_folder(folder, {"a.bin": put("aaa"), "b.csv": put("bbb")})
    assert store.complete(folder)


def test_every_file_that_is_broken_is_set_aside_at_once(published: tuple[Store, Path]) -> None:
    store, folder = published
    (folder / "a.bin").write_text("aab")
    (folder / "b.csv").unlink()
    assert not store.complete(folder)
    assert names(folder) == ["a.bin.corrupt"]
    assert [note.partition(" is damaged")[0] for note in store.notes] == [
        str(folder / name) for name in ("a.bin", "b.csv")
    ]
    assert "(it is missing); nothing of it is there, and is computed again" in store.notes[1]


@pytest.mark.parametrize("content", [[], None, 3, {}, {"files": None}, {"files": ["a.bin"]}])
def test_a_sealed_text_that_is_no_manifest_is_set_aside(published: tuple[Store, Path], content: object) -> None:
    store, folder = published
    (folder / MANIFEST).write_text(seal(content))
    assert not store.complete(folder)
    assert (folder / f"{MANIFEST}.corrupt").exists()


def test_a_file_in_the_place_of_a_folder_holds_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for folder in (store.layout.model("k"), store.layout.run("k")):
        folder.parent.mkdir()
        folder.write_text("I am a file")
    assert not store.complete(store.layout.model("k"))
    assert store.checkpoint(store.layout.model("k")) is None
    assert store.record("k") is None
    with pytest.raises(UserError, match="cannot write"):
        store.save_record(replace(ROW, key="k"))


@pytest.mark.parametrize("name", [RECORD, "images.npz"])
def test_a_folder_in_the_place_of_a_file_of_a_record_is_set_aside(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path)
    store.save_record(ROW, {"images.npz": put("images")})
    folder = store.layout.run("key")
    (folder / name).unlink()
    (folder / name).mkdir()
    assert store.record("key") is None
    assert (folder / f"{name}.corrupt").is_dir()
    store.save_record(ROW, {"images.npz": put("images")})
    assert store.record("key") is not None


def test_a_checkpoint_is_read_as_it_was_written_and_a_folder_in_its_place_is_set_aside(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.checkpoint(tmp_path) is None
    store.save_checkpoint(tmp_path, b"half way")
    assert store.checkpoint(tmp_path) == b"half way"
    (tmp_path / CHECKPOINT).unlink()
    (tmp_path / CHECKPOINT).mkdir()
    assert store.checkpoint(tmp_path) is None
    assert names(tmp_path) == [f"{CHECKPOINT}.corrupt"]


def test_the_record_of_another_recipe_is_set_aside(tmp_path: Path) -> None:
    """A folder that somebody copied or renamed must not pass for another's result."""
    store = Store(tmp_path)
    store.save_record(ROW)
    (tmp_path / "runs" / "key").rename(tmp_path / "runs" / "other")
    assert store.record("other") is None
    assert "the record of another recipe" in store.notes[0]


def test_in_a_folder_that_cannot_be_written_what_is_broken_is_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`mgbench plan` and `show` of results on a read-only disk go on."""
    store = Store(tmp_path)
    store.save_folder(tmp_path / "m", {"a.bin": put("aaa")})
    store.save_record(ROW, {"images.npz": put("images")})
    (tmp_path / "m" / "a.bin").write_text("b")
    (tmp_path / "runs" / "key" / "images.npz").write_text("b")

    def refuse(path: Path, *rest: object, **more: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    for change in ("touch", "mkdir", "replace", "unlink"):
        monkeypatch.setattr(Path, change, refuse)
    assert not store.complete(tmp_path / "m")
    assert store.record("key") is None
    assert all("it cannot be set aside: read-only file system" in note for note in store.notes)
    assert len(store.notes) == 2


def test_a_record_holds_the_checksum_of_what_was_written_not_of_what_another_put_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def between(path: Path, text: str) -> None:
        (path.parent / "images.npz").write_text("by another process")
        write_text(path, text)

    write_text, store = stores.write_text, Store(tmp_path)
    monkeypatch.setattr(stores, "write_text", between)
    store.save_record(ROW, {"images.npz": put("images"), "film.npz": put("film")})
    assert store.record("key") is None
    assert "images.npz is damaged" in store.notes[0]


def test_a_broken_study_is_set_aside_when_it_is_written_again(tmp_path: Path) -> None:
    store, view = Store(tmp_path), StudyView("grid", (("key", "m"),), "mgbench run")
    store.save_study(view)
    path = store.layout.study("grid")
    path.write_text(path.read_text()[:-9])
    store.save_study(view)
    assert load_study(path) == view
    assert names(path.parent) == ["grid.json", "grid.json.corrupt"]


def test_a_study_of_a_newer_version_is_not_written_over(tmp_path: Path) -> None:
    store, view = Store(tmp_path), StudyView("grid", (("key", "m"),), "mgbench run")
    store.save_study(view)
    path = store.layout.study("grid")
    newer = json.dumps({**json.loads(path.read_text()), "schema": 99})
    path.write_text(newer)
    with pytest.raises(UserError, match="newer mgbench"):
        store.save_study(view)
    assert path.read_text() == newer


@pytest.mark.parametrize("step", ["save_record", "publish", "save_checkpoint"])
def test_a_disk_that_is_full_in_the_middle_leaves_what_was_whole_and_nothing_half(small_disk: Path, step: str) -> None:
    """The second file of a folder does not fit: the first lies there, and nothing says that the folder is whole."""
    store = Store(small_disk)
    store.save_record(ROW, {"images.npz": put("images")})
    store.save_folder(store.layout.model("done"), {"a.bin": put("aaa")})
    other, big = replace(ROW, key="other"), {"a.bin": put("aaa"), "b.bin": put("x" * 300_000)}
    steps: dict[str, Callable[[], None]] = {
        "save_record": lambda: store.save_record(other, big),
        "publish": lambda: store.save_folder(store.layout.model("half"), big),
        "save_checkpoint": lambda: store.save_checkpoint(store.layout.model("half"), b"x" * 300_000),
    }
    with pytest.raises(UserError, match="no space left on device; free some space"):
        steps[step]()
    assert store.record("key") is not None
    assert store.complete(store.layout.model("done"))
    assert store.record("other") is None
    assert not store.complete(store.layout.model("half"))
    assert store.checkpoint(store.layout.model("half")) is None
    assert store.notes == []
    assert not list(small_disk.rglob(".*"))
    store.save_record(other, {"a.bin": put("aaa")})
    assert store.record("other") is not None
