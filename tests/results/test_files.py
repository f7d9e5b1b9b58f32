"""A file is written whole or not at all, whatever the disk does; and what is broken is set aside, whoever else does so."""

import errno
import hashlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mgbench.errors import UserError
from mgbench.results import files
from mgbench.results.files import (
    difference,
    is_aside,
    is_temporary,
    is_whole_archive,
    move_aside,
    write,
    write_text,
    write_together,
)
from mgbench.results.store import Store


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


def remounted(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", folder], check=True)


def test_a_full_disk_is_told_in_a_sentence_and_holds_what_it_held(small_disk: Path) -> None:
    write_text(small_disk / "file.txt", "old")
    with pytest.raises(UserError, match=r"no space left on device; free some space, or choose another folder"):
        write_text(small_disk / "file.txt", "x" * 300_000)
    assert names(small_disk) == ["file.txt"]
    assert (small_disk / "file.txt").read_text() == "old"
    write_text(small_disk / "file.txt", "new")
    assert (small_disk / "file.txt").read_text() == "new"


def test_a_folder_that_becomes_read_only_is_told_in_a_sentence_and_holds_what_it_held(small_disk: Path) -> None:
    write_text(small_disk / "file.txt", "old")
    remounted(small_disk, "ro")
    with pytest.raises(UserError, match=r"cannot write .*file.txt: read-only file system; choose another folder"):
        write_text(small_disk / "file.txt", "new")
    with pytest.raises(OSError, match="Read-only"):
        move_aside(small_disk / "file.txt")
    assert names(small_disk) == ["file.txt"]
    assert (small_disk / "file.txt").read_text() == "old"


LIMITED = """
import resource, sys
from pathlib import Path
from mgbench.errors import UserError
from mgbench.results import files
from mgbench.results.files import write_text
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_text(Path(sys.argv[1]), "x" * 2000)
except UserError as error:
    print(error)
"""


def test_a_file_over_the_limit_of_its_process_is_told_in_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    assert resource.RLIMIT_FSIZE is not None
    script = [sys.executable, "-c", LIMITED, str(tmp_path / "file.txt")]
    said = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    assert said == (
        f"cannot write {tmp_path}/file.txt: file too large; free some space, or choose another folder with --results\n"
    )
    assert names(tmp_path) == []


def test_the_folders_of_a_file_are_flushed_after_it_was_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without that a loss of power may undo the rename, and the making of the folders above it."""
    flushed: list[str] = []
    sync = os.fsync

    def noted(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        flushed.append(f"{path.name}{'/' if path.is_dir() else ''}")
        assert not path.is_dir() or (tmp_path / "a" / "b" / "file.txt").exists()
        sync(handle)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("this platform does not tell which file a handle is")
    monkeypatch.setattr(os, "fsync", noted)
    write_text(tmp_path / "a" / "b" / "file.txt", "x")
    assert flushed[0].startswith(".file.txt.")
    assert flushed[1:] == ["b/", "a/", f"{tmp_path.name}/"]
    flushed.clear()
    write_text(tmp_path / "a" / "b" / "file.txt", "y")
    assert flushed[1:] == ["b/"]


def test_a_folder_is_flushed_once_when_all_of_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flushing takes most of the time that saving a row takes; the manifest, without which nothing counts, comes last."""
    flushed: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(files, "_flush", lambda folder: flushed.append((folder.name, names(folder))))
    folder = tmp_path / "folder"
    writers = {name: lambda path: path.write_text("x") for name in ("a", "b", "inner/c")}
    Store(tmp_path).save_folder(folder, writers)  # type: ignore[arg-type]
    whole = ["a", "b", "inner", "manifest.json"]
    assert [names for name, names in flushed if name == "folder"] == [whole]
    assert ("inner", ["c"]) in flushed
    assert flushed[-1] == ("folder", whole)


def test_files_of_a_folder_are_flushed_when_all_are_written_and_before_any_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync, there = os.fsync, list[list[str]]()
    monkeypatch.setattr(os, "fsync", lambda handle: sync(handle) or there.append(names(tmp_path)))
    write_together({tmp_path / name: lambda path: path.write_text("x") for name in ("a", "b")})  # type: ignore[misc]
    assert [[name[:3] for name in found] for found in there] == [[".a.", ".b."]] * 2 + [["a", "b"]]


def test_files_that_belong_together_are_written_all_or_not_at_all(tmp_path: Path) -> None:
    def fail(temporary: Path) -> None:
        raise ValueError("half of it")

    with pytest.raises(ValueError, match="half of it"):
        write_together({tmp_path / "a": lambda path: path.touch(), tmp_path / "b": fail})
    assert names(tmp_path) == []


@pytest.mark.parametrize(("number", "refused"), [(errno.EINVAL, False), (errno.ENOTSUP, False), (errno.EIO, True)])
def test_a_platform_that_flushes_no_folders_is_no_error_and_a_disk_that_fails_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, refused: bool
) -> None:
    sync = os.fsync

    def fail(handle: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{handle}"):  # noqa: PTH112
            raise OSError(number, os.strerror(number))
        sync(handle)

    monkeypatch.setattr(os, "fsync", fail)
    if refused:
        with pytest.raises(UserError, match="input/output error"):
            write_text(tmp_path / "file.txt", "x")
    else:
        write_text(tmp_path / "file.txt", "x")
    assert names(tmp_path) == ["file.txt"]


def test_what_is_set_aside_keeps_what_was_before(tmp_path: Path) -> None:
    for content in ("one", "two", "three"):
        (tmp_path / "file.txt").write_text(content)
        assert move_aside(tmp_path / "file.txt")
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {"file.txt.corrupt": "one", "file.txt.2.corrupt": "two", "file.txt.3.corrupt": "three"}
    assert all(is_aside(name) for name in kept)


def test_a_folder_in_the_place_of_a_file_is_set_aside_with_what_it_holds(tmp_path: Path) -> None:
    for content in ("one", "two"):
        (tmp_path / "file.txt").mkdir()
        (tmp_path / "file.txt" / "inside").write_text(content)
        move_aside(tmp_path / "file.txt")
    assert names(tmp_path) == ["file.txt.2.corrupt", "file.txt.corrupt"]
    assert (tmp_path / "file.txt.2.corrupt" / "inside").read_text() == "two"


def test_what_is_gone_is_not_set_aside_and_takes_no_name(tmp_path: Path) -> None:
    assert move_aside(tmp_path / "file.txt") == ""
    assert names(tmp_path) == []


RACE = """
import sys
from pathlib import Path
from mgbench.results.files import move_aside
sys.stdin.readline()
for index in range(200):
    print(move_aside(Path(sys.argv[1]) / str(index)))
"""


def test_of_processes_that_set_the_same_file_aside_at_once_one_does(tmp_path: Path) -> None:
    for index in range(200):
        (tmp_path / str(index)).write_text(str(index))
    script = [sys.executable, "-c", RACE, str(tmp_path)]
    racing = [
        subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for process in racing:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60) for process in racing]
    assert [err for _, err in said] == [""] * 3
    moved = [out.split("\n")[:200] for out, _ in said]
    assert all(sum(bool(names[index]) for names in moved) == 1 for index in range(200))
    left = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert len(left) == 200
    assert all(name.partition(".")[0] == content for name, content in left.items())


def test_a_difference_is_told_by_what_it_is(tmp_path: Path) -> None:
    path, checksum = tmp_path / "file", hashlib.sha256(b"x").hexdigest()
    assert difference(path, checksum) == "it is missing"
    path.write_text("x")
    assert difference(path, checksum) == ""
    path.write_text("y")
    assert difference(path, checksum) == "its checksum does not match"
    path.unlink()
    path.mkdir()
    assert difference(path, checksum) == "it is no file"
    assert difference(tmp_path / "nowhere" / "file", checksum) == "it is missing"


def test_a_pipe_is_no_file_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert difference(tmp_path / "pipe", "") == "it is no file"


@pytest.mark.parametrize(("number", "said"), [(errno.EIO, "input/output error"), (errno.ESTALE, "stale file handle")])
def test_a_file_that_the_disk_does_not_give_back_is_different(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    def fail(self: Path, mode: str) -> None:
        raise OSError(number, os.strerror(number))

    (tmp_path / "file").write_text("x")
    monkeypatch.setattr(Path, "open", fail)
    assert difference(tmp_path / "file", "") == f"it cannot be read: {said}"


def test_a_file_that_may_not_be_read_is_the_user_s_to_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, mode: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    (tmp_path / "file").write_text("x")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match=r"cannot read .*/file: permission denied; ask its owner"):
        difference(tmp_path / "file", "")


def test_an_archive_is_whole_until_a_bit_of_its_arrays_is_not(tmp_path: Path) -> None:
    """What a bit may change unseen are fields that say nothing of the arrays, such as times."""
    path, arrays = (
        tmp_path / "a.npz",
        {"images": np.arange(48, dtype=np.uint8).reshape(3, 1, 4, 4), "labels": np.arange(3)},
    )
    np.savez_compressed(path, **arrays)
    assert is_whole_archive(path, arrays)
    whole, random = path.read_bytes(), np.random.default_rng(0)
    unseen = 0
    for place, bit in zip(random.integers(0, len(whole), 300), random.integers(0, 8, 300), strict=True):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << int(bit))]) + whole[place + 1 :])
        if is_whole_archive(path, arrays):
            unseen += 1
            with np.load(path) as found:
                assert all((found[name] == array).all() for name, array in arrays.items())
    assert unseen < 150, "half of so small a file is bookkeeping"
    np.savez_compressed(path, images=arrays["images"])
    assert not is_whole_archive(path, arrays)
    for length in random.integers(0, len(whole), 40):
        path.write_bytes(whole[:length])
        assert not is_whole_archive(path, arrays)


@pytest.mark.parametrize(
    ("name", "temporary"),
    [
        (".record.json.ab12_9xz", True),
        (".writable", True),
        (".writable.q_9abcde", True),
        ("record.json", False),
        (".gitignore", False),
        (".record.json.corrupt", False),
        ("record.json.ab12_9xz", False),
    ],
)
def test_what_was_never_renamed_is_known_by_its_name(name: str, temporary: bool) -> None:
    assert is_temporary(name) is temporary
