"""Every write is whole or absent, every read is checked, and what is broken is set aside and said."""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mgbench.errors import UserError
from mgbench.record import Record, StudyView, load_study
from mgbench.store import MANIFEST, RECORD, Store, write, write_text

ROW = Record(key="key", training_key="training", method="m", status="done", recipe={})


def put(text: str) -> Callable[[Path], None]:
    def writer(path: Path) -> None:
        path.write_text(text)

    return writer


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_whole_with_its_folders(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "file.txt", "γ")
    assert (tmp_path / "a" / "b" / "file.txt").read_text(encoding="utf-8") == "γ"
    assert names(tmp_path / "a" / "b") == ["file.txt"]


def test_a_file_is_as_readable_as_any_file_of_its_owner(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_text(tmp_path / "file.txt", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "file.txt").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError])
def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half of the n")
        raise error

    with pytest.raises(error):
        write(path, fail)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


@pytest.mark.parametrize(
    ("number", "said"), [(28, "no space left on device"), (30, "read-only file system"), (5, "input/output error")]
)
def test_a_disk_that_does_not_take_a_file_is_told_in_a_sentence_and_leaves_nothing(
    tmp_path: Path, number: int, said: str
) -> None:
    def refused(temporary: Path) -> None:
        raise OSError(number, os.strerror(number))

    with pytest.raises(UserError, match=rf"cannot write .*file.txt: {said}"):
        write(tmp_path / "file.txt", refused)
    assert names(tmp_path) == []


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def look(temporary: Path) -> None:
        temporary.write_text("new")
        assert path.read_text() == "old"

    write(path, look)
    assert path.read_text() == "new"


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


@pytest.fixture
def published(tmp_path: Path) -> tuple[Store, Path]:
    store = Store(tmp_path)
    folder = store.layout.model("training")
    store.publish(folder, {"a.bin": put("aaa"), "b.csv": put("bbb")})
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
        store.publish(tmp_path / "half", {"a.bin": put("aaa"), "b.csv": fail})
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
    store.publish(folder, {"a.bin": put("aaa"), "b.csv": put("bbb")})
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
