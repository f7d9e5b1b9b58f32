"""Files: atomic writes that reach the disk, checksums, and setting damaged files aside."""

import contextlib
import errno
import hashlib
import io
import os
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mgbench.errors import Unwritable, UserError

Writer = Callable[[Path], None]
PROBE = ".writable"
ANOTHER_FOLDER = "choose another folder with --results"
ASIDE = ".corrupt"
# The names that `tempfile.mkstemp` makes from the prefix used in `write`.
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
    """Write a file atomically: under a temporary name, flushed to the disk (fsync), then renamed.

    `instead` completes the error message with advice on what to do if the folder cannot be written.

    Raises:
        Unwritable: if the folder cannot be written or the disk is full.
    """
    write_together({path: writer}, instead)


def write_together(files: Mapping[Path, Writer], instead: str = ANOTHER_FOLDER, unflushed: Path | None = None) -> None:
    """Write files as `write` does, in steps: all are written, then all flushed, then all renamed.

    Most of what a flush waits for, the journal of the file system, is thus waited for once. The entries of a folder that is
    left `unflushed` are flushed by the file that the caller writes to it next.

    Raises:
        Unwritable: if a folder cannot be written or the disk is full.
    """
    changed, written = dict[Path, None](), dict[Path, Path]()
    try:
        for path, writer in files.items():
            with _sentences(path, instead):
                changed |= dict.fromkeys(_folders(path.parent))
                handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
                os.close(handle)
                written[path] = Path(name)
                writer(written[path])
        for path, temporary in written.items():
            with _sentences(path, instead), temporary.open("rb+") as file:
                os.fsync(file.fileno())
        for path, temporary in written.items():
            with _sentences(path, instead):
                # mkstemp creates private files; results get the usual permissions.
                temporary.chmod(0o666 & ~_umask())
                temporary.replace(path)
    finally:
        for temporary in written.values():
            temporary.unlink(missing_ok=True)
    for folder in changed:
        with _sentences(folder, instead):
            if folder != unflushed:
                _flush(folder)


def _folders(folder: Path) -> list[Path]:
    """Create a folder and its parents; those created and the parent of the first, whose entries are to be flushed."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return [*made, made[-1].parent if made else folder]


def _flush(folder: Path) -> None:
    """Flush the entries of a folder to the disk; otherwise a power failure may undo a rename."""
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        # Some platforms and network file systems cannot open or flush folders; there, this is skipped.
        if error.errno in (errno.EIO, *_FULL):
            raise


def of_bytes(content: bytes) -> Writer:
    """A writer of these bytes."""

    def put(path: Path) -> None:
        path.write_bytes(content)

    return put


def of_arrays(arrays: Mapping[str, Any]) -> Writer:
    """A writer of NumPy arrays by name, compressed, as `.npz`."""

    def put(path: Path) -> None:
        import numpy as np

        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        path.write_bytes(buffer.getvalue())

    return put


def write_bytes(path: Path, content: bytes, instead: str = ANOTHER_FOLDER) -> None:
    """Write bytes as `write` does."""
    write(path, of_bytes(content), instead)


def write_text(path: Path, text: str, instead: str = ANOTHER_FOLDER) -> None:
    """Write text in UTF-8 as `write` does."""
    write_bytes(path, text.encode(), instead)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sha256(path: Path) -> str:
    """The SHA-256 sum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def difference(path: Path, checksum: str) -> str:
    """The difference between a file and its checksum, as a clause; empty if they agree.

    Raises:
        UserError: if the permissions do not allow reading it.
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
    """Whether an `.npz` file holds these arrays, intact by the checksums of the format."""
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None and {f"{name}.npy" for name in arrays} <= set(file.namelist())
    except Exception:
        # A damaged archive can raise almost anything.
        return False


def is_temporary(name: str) -> bool:
    """Whether a name is that of a temporary file of `write`, or of a probe; if no process is writing, it is a leftover."""
    return name == PROBE or _TEMPORARY.fullmatch(name) is not None


def is_aside(name: str) -> bool:
    """Whether a name is that of a file that was set aside."""
    return name.endswith(ASIDE)


def move_aside(path: Path) -> str:
    """Rename a file or folder to the first free name with the suffix `.corrupt`; that name, or nothing if the path is gone.

    The name is reserved before the move, so that two processes never choose the same.
    """
    folder = path.is_dir() and not path.is_symlink()
    number = 0
    while True:
        number += 1
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
