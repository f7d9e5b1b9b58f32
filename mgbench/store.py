"""The results folder: every write is whole or absent, every read is checked, and what is broken is set aside."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mgbench.errors import UserError
from mgbench.record import Corrupt, Layout, Record, StudyView, as_content, load_record, seal, unseal

Writer = Callable[[Path], None]
MANIFEST = "manifest.json"
RECORD = "record.json"
CHECKPOINT = "checkpoint.pt"
DIGEST = hashlib.sha256().digest_size


@contextlib.contextmanager
def _sentences(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {(error.strerror or str(error)).lower()}; choose another folder with --results"
        ) from None


def write(path: Path, writer: Writer) -> None:
    """Write a file under a temporary name, flush it to the disk, then rename it; a reader sees all of it or none.

    Raises:
        UserError: if the folder cannot be written or the disk is full.
    """
    with _sentences(path):
        path.parent.mkdir(parents=True, exist_ok=True)
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


def write_text(path: Path, text: str) -> None:
    """Write text as `write` does."""
    write(path, lambda temporary: _put(temporary, text))


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _put_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass
class Store:
    """Records, models and tokenizers under one folder; `notes` collects what was found broken and set aside."""

    root: Path
    notes: list[str] = field(default_factory=list)

    @property
    def layout(self) -> Layout:
        """Where things lie."""
        return Layout(self.root)

    def check_writable(self) -> None:
        """Refuse a folder that cannot be written before hours are spent on what should go there.

        Raises:
            UserError: if nothing can be written.
        """
        probe = self.root / ".writable"
        write_text(probe, "")
        probe.unlink(missing_ok=True)

    def record(self, key: str) -> Record | None:
        """The record of a key, or None where there is none that can be read, or what lies beside it is broken."""
        path = self.layout.run(key) / RECORD
        try:
            record = load_record(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Corrupt as reason:
            self.set_aside(path, reason)
            return None
        broken = [name for name, checksum in record.files.items() if _broken(path.with_name(name), checksum)]
        for name in broken:
            self.set_aside(path.with_name(name), "its checksum does not match")
        return None if broken else record

    def save_record(self, record: Record, files: Mapping[str, Writer] | None = None) -> None:
        """Write what belongs to a record, and then the record, with the checksums of what belongs to it."""
        folder, files = self.layout.run(record.key), files or {}
        for name, writer in files.items():
            write(folder / name, writer)
        checksums = {name: _sha256(folder / name) for name in files}
        write_text(folder / RECORD, seal(as_content(replace(record, files=checksums))))

    def save_study(self, view: StudyView) -> None:
        """Write which records make up a study."""
        write_text(self.layout.study(view.name), seal(as_content(view)))

    def save_checkpoint(self, folder: Path, content: bytes) -> None:
        """Write how far the work in a folder got; the file begins with its own checksum."""
        write(folder / CHECKPOINT, lambda path: _put_bytes(path, hashlib.sha256(content).digest() + content))

    def checkpoint(self, folder: Path) -> bytes | None:
        """How far the work in a folder got, or None where there is nothing that is whole."""
        path = folder / CHECKPOINT
        try:
            found = path.read_bytes()
        except FileNotFoundError:
            return None
        checksum, content = found[:DIGEST], found[DIGEST:]
        if hashlib.sha256(content).digest() == checksum:
            return content
        self.set_aside(path, "its checksum does not match")
        return None

    def publish(self, folder: Path, files: Mapping[str, Writer]) -> None:
        """Write files, and last a manifest of their checksums: with it the folder counts as complete."""
        for name, writer in files.items():
            write(folder / name, writer)
        checksums = {name: _sha256(folder / name) for name in files}
        write_text(folder / MANIFEST, seal({"files": checksums}))

    def complete(self, folder: Path) -> bool:
        """Whether a folder was published and every file in it is still what was written; if not, it is set aside."""
        manifest = folder / MANIFEST
        if not manifest.exists():
            return False
        try:
            files = unseal(manifest.read_text(encoding="utf-8", errors="replace"))["files"]
            broken = [name for name, checksum in files.items() if _broken(folder / name, checksum)]
        except Corrupt as reason:
            self.set_aside(manifest, reason)
            return False
        if broken:
            self.set_aside(folder / broken[0], "its checksum does not match")
            manifest.unlink()
        return not broken

    def set_aside(self, path: Path, reason: object) -> None:
        """Rename what is broken, so that it is looked at no more and nothing is lost."""
        aside = path.with_name(path.name + ".corrupt")
        self.notes.append(f"{path} is not what was written ({reason}); it is now {aside.name} and is computed again")
        if path.exists():
            path.replace(aside)


def _broken(path: Path, checksum: str) -> bool:
    return not path.is_file() or _sha256(path) != checksum
