"""Open a results folder or an archive of one."""

import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mgbench.errors import UserError

# Maximum depth of a results folder in an archive.
DEPTH = 2


@contextmanager
def opened(source: Path, beside: Path) -> Iterator[Path]:
    """The results folder at a path, or a temporary copy of that in an archive (.zip, .tar, .tar.gz, …).

    Archives are unpacked into a temporary folder in `beside`.

    Raises:
        UserError: if there are no results, or the archive cannot be read.
    """
    if source.is_dir():
        yield _results_in(source, source)
        return
    if not source.is_file():
        raise UserError(f"there is nothing at {source}; name a results folder or an archive of one")
    beside.mkdir(parents=True, exist_ok=True)
    # A name that `mgbench doctor` recognises as a leftover if the process is killed.
    with tempfile.TemporaryDirectory(prefix=".merge.", dir=beside, ignore_cleanup_errors=True) as folder:
        _unpack(source, Path(folder))
        yield _results_in(Path(folder), source)


def _unpack(archive: Path, folder: Path) -> None:
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                file.extractall(folder)
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as file:
                file.extractall(folder, filter="data")
        else:
            raise UserError(f"{archive} is neither a folder nor a .zip or .tar archive; name a results folder")
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise UserError(f"{archive} cannot be unpacked ({str(error) or 'it is cut short'}); ask for it again") from None


def _results_in(folder: Path, source: Path) -> Path:
    """The results folder at or below a folder: the one with rows."""
    levels = ("/".join(["*"] * depth + ["runs"]) for depth in range(DEPTH + 1))
    for pattern in levels:
        found = sorted(path.parent for path in folder.glob(pattern) if path.is_dir())
        if len(found) > 1:
            names = ", ".join(str(path.relative_to(folder)) for path in found[:3])
            raise UserError(f"{source} holds several results folders ({names}); name one of them")
        if found:
            return found[0]
    raise UserError(f"there are no results in {source} (no folder 'runs'); name the folder that 'mgbench run' wrote to")
