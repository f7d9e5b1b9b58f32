"""Files of a results folder that travel: along with a trial to a node that does not see the folder, and back as they are made."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from mgbench.interfaces.engine import Job
from mgbench.recipes.source import Source
from mgbench.registry.loading import load
from mgbench.registry.registry import Registry
from mgbench.registry.resolve import assemble
from mgbench.results.files import is_aside, write_bytes
from mgbench.results.layout import Layout
from mgbench.results.store import FACTS, MANIFEST, RECORD

# What says that the files beside it are whole: looked for before them, and written after them.
SEALS = (MANIFEST, RECORD)
Signature = tuple[int, int, int]


@dataclass(frozen=True)
class Parcel:
    """A file by its path in the folder and its SHA-256 sum; `content` is whatever carries it. Without, the file is gone."""

    path: str
    checksum: str = ""
    content: Any = None


def pack(root: Path, paths: Iterable[Path], put: Callable[[bytes], Any]) -> list[Parcel]:
    """Files under a root, each handed to `put`, which says what carries it; those that are gone meanwhile are left out."""
    packed = []
    for path in paths:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        packed.append(Parcel(path.relative_to(root).as_posix(), _digest(content), put(content)))
    return packed


def unpack(root: Path, parcels: Iterable[Parcel], get: Callable[[Any], bytes]) -> None:
    """Write what was packed under another root, each file whole or not at all.

    Raises:
        ValueError: if what arrived is not what was sent.
        UserError: if it cannot be written.
    """
    for parcel in parcels:
        target = root / parcel.path
        if not parcel.checksum:
            target.unlink(missing_ok=True)
            continue
        content = get(parcel.content)
        if _digest(content) != parcel.checksum:
            raise ValueError(f"{parcel.path} arrived with another checksum than it was sent with")
        write_bytes(target, content)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Watch:
    """What changed under a root since it was last asked; what lies there at the start is known."""

    root: Path
    _known: dict[Path, Signature] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._known = dict(self._look())

    def changed(self, put: Callable[[bytes], Any]) -> list[Parcel]:
        """Files that are new or other than they were, and those that are gone; seals last."""
        found = dict(self._look())
        fresh = [path for path, signature in found.items() if self._known.get(path) != signature]
        gone = [Parcel(path.relative_to(self.root).as_posix()) for path in self._known.keys() - found.keys()]
        self._known = found
        return [*gone, *pack(self.root, sorted(fresh, key=lambda path: path.name in SEALS), put)]

    def _look(self) -> Iterator[tuple[Path, Signature]]:
        """Every file that is whole by its name, seals first: where there is a seal, the files it speaks of are there too."""
        files = [*(path for name in SEALS for path in self.root.rglob(name)), *self.root.rglob("*")]
        for path in dict.fromkeys(files):
            # A file that is being written, or who is at work there, which is of no interest here.
            if path.name.startswith(".") or path.parent == Layout(self.root).claim("").parent:
                continue
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            if path.is_file():
                yield path, (status.st_ino, status.st_mtime_ns, status.st_size)


def read_by(job: Job) -> list[Path]:
    """The files in the results folder that a job may read: tokenizer, model, checkpoint, drawn images and real ones as seen."""
    registry, layout = _registry(job.sources), Layout(job.root)
    assemblies = [assemble(registry, recipe) for _, recipe in job.rows]
    assembly = assemblies[0]
    keys, data = assembly.keys, assembly.data.fingerprint
    folders = [layout.tokenizer(keys.tokenizer)]
    if job.about == "images":
        folders += [layout.model(keys.training), layout.run(keys.reconstruction)]
        folders += [layout.images(other.keys.images) for other in assemblies]
    folders += [path.parent for path in layout.root.glob(f"references/*/{FACTS}") if _facts(path).get("data") == data]
    files = [path for folder in folders for path in sorted(folder.glob("*"))]
    whole = [path for path in files if not path.name.startswith(".") and not is_aside(path.name)]
    return [path for path in (*whole, layout.real(data)) if path.is_file()]


@cache
def _registry(sources: tuple[Source, ...]) -> Registry:
    return load(sources)


def _facts(path: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts
