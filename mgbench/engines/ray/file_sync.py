"""Copy files of a results folder to a node that does not share it, and back as they are written there."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from mgbench.interfaces.engine import Job
from mgbench.recipes.keys import Keys
from mgbench.recipes.source import Source
from mgbench.registry.loading import load
from mgbench.registry.registry import Registry
from mgbench.registry.resolve import Assembly, assemble
from mgbench.results.files import is_aside, write_bytes
from mgbench.results.imported import with_weights
from mgbench.results.layout import Layout
from mgbench.results.store import FACTS, MANIFEST, RECORD

# Files that vouch for those beside them: listed before them here, and written after them.
SEALS = (MANIFEST, RECORD)
Signature = tuple[int, int, int]


@dataclass(frozen=True)
class SyncedFile:
    """A file: its path in the folder, SHA-256 sum and content (bytes, or a Ray reference to them). No sum means deleted."""

    path: str
    checksum: str = ""
    content: Any = None


def pack(root: Path, paths: Iterable[Path], put: Callable[[bytes], Any]) -> list[SyncedFile]:
    """Read files under a root and hand each to `put`, which returns its carrier; files deleted meanwhile are left out."""
    packed = []
    for path in paths:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        packed.append(SyncedFile(path.relative_to(root).as_posix(), _digest(content), put(content)))
    return packed


def unpack(root: Path, files: Iterable[SyncedFile], get: Callable[[Any], bytes]) -> None:
    """Write packed files under another root, each atomically.

    Raises:
        ValueError: if a file arrives with another checksum.
        UserError: if a file cannot be written.
    """
    for file in files:
        target = root / file.path
        if not file.checksum:
            target.unlink(missing_ok=True)
            continue
        content = get(file.content)
        if _digest(content) != file.checksum:
            raise ValueError(f"{file.path} arrived with another checksum than it was sent with")
        write_bytes(target, content)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Watch:
    """Changes under a root since the last call; files that exist at the start count as known."""

    root: Path
    _known: dict[Path, Signature] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._known = dict(self._look())

    def changed(self, put: Callable[[bytes], Any]) -> list[SyncedFile]:
        """Deleted files, then new and changed files, seals last."""
        found = dict(self._look())
        fresh = [path for path, signature in found.items() if self._known.get(path) != signature]
        gone = [SyncedFile(path.relative_to(self.root).as_posix()) for path in self._known.keys() - found.keys()]
        self._known = found
        return [*gone, *pack(self.root, sorted(fresh, key=lambda path: path.name in SEALS), put)]

    def _look(self) -> Iterator[tuple[Path, Signature]]:
        """Every file that is not temporary, seals listed first: the files that a listed seal vouches for then exist too."""
        files = [*(path for name in SEALS for path in self.root.rglob(name)), *self.root.rglob("*")]
        for path in dict.fromkeys(files):
            # Temporary files and leases do not travel.
            if path.name.startswith(".") or path.parent == Layout(self.root).lock("").parent:
                continue
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            if path.is_file():
                yield path, (status.st_ino, status.st_mtime_ns, status.st_size)


def read_by(job: Job) -> list[Path]:
    """The files that a job may read in the results folder: tokenizer, model, checkpoint, images, features of real images."""
    registry, layout = _registry(job.sources), Layout(job.root)
    assemblies = [assemble(registry, recipe) for _, recipe in job.rows]
    assembly = assemblies[0]
    keys, data = assembly.keys, assembly.data.fingerprint
    folders = [layout.tokenizer(keys.tokenizer)]
    if job.about == "images":
        found = with_weights(layout, assembly.recipe.weights) if assembly.recipe.weights else None
        folders += [found.folder] if found else []
        folders += [layout.model(keys.training), layout.run(keys.reconstruction)]
        folders += [
            folder
            for taught in _teachers(assembly)
            for folder in (layout.model(taught.training), layout.run(taught.run))
        ]
        folders += [layout.images(other.keys.images) for other in assemblies]
    folders += [path.parent for path in layout.root.glob(f"references/*/{FACTS}") if _facts(path).get("data") == data]
    files = [path for folder in folders for path in sorted(folder.rglob("*"))]
    whole = [path for path in files if not path.name.startswith(".") and not is_aside(path.name)]
    return [path for path in (*whole, layout.real(data)) if path.is_file()]


def _teachers(assembly: Assembly) -> Iterator[Keys]:
    """The keys of the teacher, of its own teacher, and so on."""
    while assembly.teacher is not None:
        assembly = assembly.teacher
        yield assembly.keys


@cache
def _registry(sources: tuple[Source, ...]) -> Registry:
    return load(sources)


def _facts(path: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts
