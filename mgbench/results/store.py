"""The results folder: writes are atomic, reads are verified by checksums, and damaged files are set aside."""

import contextlib
import errno
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mgbench.results.files import PROBE, difference, move_aside, sha256, write_bytes, write_text, write_together
from mgbench.results.files import Writer as Writer
from mgbench.results.layout import Layout
from mgbench.results.record import Record, StudyView, as_content, load_record, load_study
from mgbench.results.schema import Corrupt, read_sealed, seal

MANIFEST = "manifest.json"
# Subfolder of a row, with a folder for each component, named after its class.
ARTIFACTS = "artifacts"
RECORD = "record.json"
CHECKPOINT = "checkpoint.pt"
# The facts that identify a reference, beside its features.
FACTS = "reference.json"
# The facts that identify a cache of tokens, beside its shards.
TOKENS = "tokens.json"
DIGEST = hashlib.sha256().digest_size


def listed(folder: Path) -> dict[str, str]:
    """The files in the manifest of a folder, with their checksums; raises as `mgbench.results.record.load_record`."""
    content = read_sealed(folder / MANIFEST)
    try:
        return {str(name): str(checksum) for name, checksum in content["files"].items()}
    except (AttributeError, KeyError, TypeError):
        raise Corrupt("it is no manifest") from None


def read_checkpoint(path: Path) -> bytes:
    """The content of a checkpoint written by `Store.save_checkpoint`.

    Raises:
        Corrupt: if the file is truncated or modified.
        FileNotFoundError: if there is none.
    """
    try:
        found = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None
    except IsADirectoryError:
        raise Corrupt("it is no file") from None
    checksum, content = found[:DIGEST], found[DIGEST:]
    if hashlib.sha256(content).digest() != checksum:
        raise Corrupt("its checksum does not match")
    return content


@dataclass
class Store:
    """Records, models and tokenizers in one folder; `notes` collects messages about damaged files that were set aside."""

    root: Path
    notes: list[str] = field(default_factory=list)

    @property
    def layout(self) -> Layout:
        """The layout of the folder."""
        return Layout(self.root)

    def check_writable(self) -> None:
        """Check that the folder can be written, before hours are spent on results.

        Raises:
            UserError: if nothing can be written.
        """
        probe = self.root / PROBE
        write_text(probe, "")
        probe.unlink(missing_ok=True)

    def record(self, key: str) -> Record | None:
        """The record of a key; None if there is none, or it or a file beside it is damaged.

        Raises:
            UserError: if a newer version of mgbench wrote it, or the permissions do not allow reading it.
        """
        path = self.layout.run(key) / RECORD
        try:
            record = load_record(path)
            if record.key != key:
                raise Corrupt("it is the record of another recipe")
        except FileNotFoundError:
            return None
        except Corrupt as reason:
            self.set_aside(path, reason)
            return None
        return None if self._broken(path.parent, record.files) else record

    def _broken(self, folder: Path, files: Mapping[str, str]) -> bool:
        """Whether any of these files is damaged or missing; damaged ones are set aside."""
        reasons = {name: difference(folder / name, checksum) for name, checksum in files.items()}
        for name, reason in reasons.items():
            if reason:
                self.set_aside(folder / name, reason)
        return any(reasons.values())

    def save_record(self, record: Record, files: Mapping[str, Writer] | None = None) -> None:
        """Write the files of a record, and then the record with their checksums."""
        folder = self.layout.run(record.key)
        checksums = self._write_all(folder, files or {})
        write_text(folder / RECORD, seal(as_content(replace(record, files=checksums))))

    def _write_all(self, folder: Path, files: Mapping[str, Writer]) -> dict[str, str]:
        """Write files and return their checksums, each taken before another process could overwrite the file.

        The record or manifest that the caller writes after them flushes their folder.
        """
        checksums: dict[str, str] = {}

        def noted(name: str, writer: Writer) -> Writer:
            def put(path: Path) -> None:
                writer(path)
                checksums[name] = sha256(path)

            return put

        write_together({folder / name: noted(name, writer) for name, writer in files.items()}, unflushed=folder)
        return checksums

    def save_study(self, view: StudyView) -> None:
        """Write the list of rows of a study; one that has all former rows and no search of its own keeps the former search.

        Raises:
            UserError: if a newer version of mgbench wrote the existing one, or it cannot be written.
        """
        path = self.layout.study(view.name)
        try:
            former = load_study(path)
            # The file that a search writes is the study of its comparison, and is run like any other.
            if view.tuning is None and set(former.rows) <= set(view.rows):
                view = replace(view, tuning=former.tuning)
        except FileNotFoundError:
            pass
        except Corrupt as reason:
            self.set_aside(path, reason)
        write_text(path, seal(as_content(view)))

    def save_checkpoint(self, folder: Path, content: bytes) -> None:
        """Write a checkpoint to a folder; the file begins with the SHA-256 sum of its content."""
        write_bytes(folder / CHECKPOINT, hashlib.sha256(content).digest() + content)

    def checkpoint(self, folder: Path) -> bytes | None:
        """The content of the checkpoint in a folder; None if there is none or it is damaged."""
        path = folder / CHECKPOINT
        try:
            return read_checkpoint(path)
        except FileNotFoundError:
            return None
        except Corrupt as reason:
            self.set_aside(path, reason)
            return None

    def save_folder(self, folder: Path, files: Mapping[str, Writer]) -> None:
        """Write files, and last a manifest of their checksums, which marks the folder as complete."""
        self.seal(folder, self._write_all(folder, files))

    def seal(self, folder: Path, checksums: Mapping[str, str]) -> None:
        """Mark a folder as complete whose files, with these checksums, were written one by one."""
        write_text(folder / MANIFEST, seal({"files": dict(checksums)}))

    def complete(self, folder: Path) -> bool:
        """Whether a folder has a manifest and every file matches its checksum; damaged files are set aside.

        Raises:
            UserError: if a newer version of mgbench wrote it, or the permissions do not allow reading it.
        """
        try:
            files = listed(folder)
        except FileNotFoundError:
            return False
        except Corrupt as reason:
            self.set_aside(folder / MANIFEST, reason)
            return False
        if not self._broken(folder, files):
            return True
        # In a folder that cannot be written the manifest stays, and fails the check again next time.
        with contextlib.suppress(OSError):
            (folder / MANIFEST).unlink(missing_ok=True)
        return False

    def set_aside(self, path: Path, reason: object) -> None:
        """Rename a damaged file, so that it is no longer read but not lost; files set aside earlier are kept.

        If another process does so at the same time, or the folder is not writable, that becomes a note and no error.
        """
        try:
            name = move_aside(path)
            now = f"it is now {name}" if name else "nothing of it is there"
        except OSError as error:
            now = f"it cannot be set aside: {(error.strerror or str(error)).lower()}"
        self.notes.append(f"{path} is damaged ({reason}); {now}, and is computed again")
