"""Findings about a results folder: damaged files one by one, and other paths grouped by category."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mgbench.errors import UserError
from mgbench.results.files import is_aside, is_temporary
from mgbench.results.former import FORMER
from mgbench.results.maintenance.inventory import remove, size
from mgbench.results.schema import Newer
from mgbench.results.store import Store
from mgbench.results.wording import amount, counted

# Seconds without a change after which a temporary file counts as left behind.
ABANDONED = 600.0
SHOWN = 3


# The message for each category of paths, with what --mend does about them.
MESSAGES = {
    "aside": "{paths} set aside as damaged, {bytes}; not used for anything, and may be deleted",
    "leftover": "{paths} that a process left behind when it ended, {bytes}; mgbench doctor {root} --mend removes it",
    "writing": "{paths} half-written within the last ten minutes, {bytes}; a run is writing, or was just ended",
    "locked": "{paths} of a trial that a run is computing, or was until it was killed; the next run checks which",
    "spent": "{paths} of a training that is finished, {bytes}; mgbench doctor {root} --mend removes it",
    "unfinished": "{paths} not finished, {bytes}; a run is computing it, or was stopped, and the same command continues it",
    "waiting": "{paths} with missing files; the next run of its study computes it again",
    "unknown": "{paths} that mgbench did not write, {bytes}; left alone",
    "unused": "{paths} to which no row refers, {bytes}; while no run is in progress, mgbench results --remove --unused "
    "--results {root} removes it",
    "former": "{paths} with keys of an earlier version, " + FORMER,
    "missing": "{paths} with rows that have no record; the command of the study computes them",
}
REMOVED = ("leftover", "spent")


@dataclass(frozen=True)
class Finding:
    """A message about some paths, with the consequence and the remedy; `mend` applies the remedy, if there is one."""

    says: str
    paths: tuple[Path, ...] = ()
    broken: bool = False
    mend: Callable[[Store], None] | None = None


@dataclass
class Checkup:
    """The findings about a results folder, and the number of files checked and their size in bytes."""

    root: Path
    findings: list[Finding] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    by_category: dict[str, list[Path]] = field(default_factory=dict)

    @property
    def broken(self) -> list[Finding]:
        """The findings about damaged files."""
        return [finding for finding in self.findings if finding.broken]

    def count(self, path: Path) -> None:
        """Count a file as checked, unless it is missing."""
        self.files += path.exists()
        self.bytes += size(path)

    def note(self, about: str, path: Path) -> None:
        """Add a path to a category."""
        self.by_category.setdefault(about, []).append(path)

    def add_damage(self, path: Path, what: object, costs: str, mend: Callable[[Store], None] | None) -> None:
        """Add a finding about a damaged file."""
        todo = f"mgbench doctor {self.root} --mend sets it aside, and the next run computes it again" if mend else ""
        said = "; ".join(filter(None, (f"{path}: {what}", costs, todo)))
        self.findings.append(Finding(said, (path,), True, mend))


def within(checkup: Checkup, folder: Path) -> Iterator[Path]:
    """The sorted contents of a folder, without temporary files and files set aside, which are noted."""
    with readable(checkup, folder):
        for path in sorted(folder.iterdir()):
            if is_aside(path.name):
                checkup.count(path)
                checkup.note("aside", path)
            elif is_temporary(path.name):
                checkup.count(path)
                checkup.note("leftover" if is_abandoned(path) else "writing", path)
            else:
                yield path


def is_abandoned(path: Path) -> bool:
    """Whether a file that a living process keeps changing has not changed for ten minutes."""
    return time.time() - path.lstat().st_mtime > ABANDONED


@contextmanager
def readable(checkup: Checkup, path: Path) -> Iterator[None]:
    """Turn errors of reading a path into findings: a newer version, no permission; deleted files are ignored."""
    try:
        yield
    except Newer:
        checkup.note("newer", path)
    except UserError as error:
        checkup.add_damage(path, error, "nothing is known of it", None)
    except PermissionError:
        checkup.add_damage(path, "it may not be read", "nothing is known of it; ask its owner to let you read it", None)
    except FileNotFoundError:
        pass


def is_folder(checkup: Checkup, path: Path) -> bool:
    """Whether a path is a folder; if not, that is added as a finding."""
    if path.is_dir():
        return True
    checkup.count(path)
    what = "it is a file where a folder should be"
    checkup.add_damage(path, what, "nothing can be written in its place", lambda store: store.set_aside(path, what))
    return False


def category_finding(checkup: Checkup, about: str, paths: list[Path]) -> Finding:
    """One finding about all paths of a category."""
    paths = list(dict.fromkeys(paths))
    names = [str(path.relative_to(checkup.root)) for path in paths]
    shown = ", ".join(names[:SHOWN]) + (" …" if len(names) > SHOWN else "")
    folders = all(path.is_dir() for path in paths)
    said = f"{counted(len(paths), 'folder' if folders else 'file')} ({shown})"
    total = amount(sum(map(size, paths)))
    mended = (lambda store: remove(paths)) if about in REMOVED else None
    return Finding(MESSAGES[about].format(paths=said, bytes=total, root=checkup.root), tuple(paths), mend=mended)
