"""One file: written whole or not at all, flushed to the disk, compared with its checksum, set aside when it is broken."""

import contextlib
import errno
import hashlib
import os
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path

from mgbench.errors import Unwritable, UserError

Writer = Callable[[Path], None]
PROBE = ".writable"
ANOTHER_FOLDER = "choose another folder with --results"
ASIDE = ".corrupt"
# What `tempfile.mkstemp` makes of the prefix that `write` gives it.
_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextlib.contextmanager
def _sentences(path: Path, instead: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        advice = f"free some space, or {instead}" if error.errno in _FULL else instead
        raise Unwritable(f"cannot write {path}: {(error.strerror or str(error)).lower()}; {advice}") from None


def write(path: Path, writer: Writer, instead: str = ANOTHER_FOLDER) -> None:
    """Write a file under a temporary name, flush it to the disk, then rename it; a reader sees all of it or none.

    `instead` is what a user can do where that is not possible.

    Raises:
        Unwritable: if the folder cannot be written or the disk is full.
    """
    with _sentences(path, instead):
        changed = _folders(path.parent)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            writer(temporary)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            # mkstemp makes files private; results are as readable as any file of their owner.
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        for folder in changed:
            _flush(folder)


def _folders(folder: Path) -> list[Path]:
    """Make a folder and those above it; these, and the one that was there already, are to be flushed."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return [*made, made[-1].parent if made else folder]


def _flush(folder: Path) -> None:
    """Bring the names in a folder to the disk, without which a loss of power may undo a rename."""
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        # Some platforms and network file systems neither open folders nor flush them; they rename as safely as they can.
        if error.errno in (errno.EIO, *_FULL):
            raise


def write_bytes(path: Path, content: bytes, instead: str = ANOTHER_FOLDER) -> None:
    """Write bytes as `write` does."""

    def put(temporary: Path) -> None:
        temporary.write_bytes(content)

    write(path, put, instead)


def write_text(path: Path, text: str, instead: str = ANOTHER_FOLDER) -> None:
    """Write text in UTF-8 as `write` does."""
    write_bytes(path, text.encode(), instead)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sha256(path: Path) -> str:
    """The checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def difference(path: Path, checksum: str) -> str:
    """What is wrong with a file that had this checksum; nothing if it is what was written.

    Raises:
        UserError: if it may not be read.
    """
    try:
        if not path.is_file():
            return "it is no file" if os.path.lexists(path) else "it is missing"
        return "" if sha256(path) == checksum else "its checksum does not match"
    except PermissionError:
        raise UserError(f"cannot read {path}: permission denied; ask its owner to let you read it") from None
    except OSError as error:
        return f"it cannot be read: {(error.strerror or str(error)).lower()}"


def is_whole_archive(path: Path, arrays: Iterable[str]) -> bool:
    """Whether an `.npz` file holds these arrays as they were written, by the checksums that the format has."""
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None and {f"{name}.npy" for name in arrays} <= set(file.namelist())
    except Exception:
        # What is damaged fails in as many ways as the format has fields.
        return False


def is_temporary(name: str) -> bool:
    """Whether a file is one that `write` had not renamed yet, or a probe; where no process writes, it is a leftover."""
    return name == PROBE or _TEMPORARY.fullmatch(name) is not None


def is_aside(name: str) -> bool:
    """Whether a file was set aside."""
    return name.endswith(ASIDE)


def move_aside(path: Path) -> str:
    """Rename a file or folder to the first name that is free, and say which; nothing if it is gone.

    The name is taken before the file is moved onto it, so that two processes at once never take the same.
    """
    folder = path.is_dir() and not path.is_symlink()
    for number in count(1):
        aside = path.with_name(f"{path.name}{f'.{number}' if number > 1 else ''}{ASIDE}")
        try:
            aside.mkdir() if folder else aside.touch(exist_ok=False)
        except FileExistsError:
            continue
        try:
            path.replace(aside)
        except OSError as error:
            aside.rmdir() if folder else aside.unlink()
            if isinstance(error, FileNotFoundError):
                return ""
            raise
        return aside.name
    raise AssertionError("numbers do not end")
