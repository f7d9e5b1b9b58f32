"""Who computes what: a file for each trial in work, so that two runs of one study share it and do nothing twice.

No lock of the operating system is used, because those of network file systems cannot be relied on: a claim is a file that
only one process can create, and whose time goes on while its holder lives. A claim spares work and guards nothing: every write
is whole by itself, and two who compute the same come to the same.
"""

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import psutil

# The holder moves the time of its claim on this often, and who does not for so long is taken for dead.
BEAT = 20.0
STALE = 150.0
LOOK_EVERY = 1.0


@cache
def _machine() -> str:
    """What tells this machine since it was started, and this container on it, from all others."""
    parts = [str(uuid.getnode())]
    for path, read in (("/proc/sys/kernel/random/boot_id", _text), ("/proc/self/ns/pid", os.readlink)):
        with contextlib.suppress(OSError):
            parts.append(read(path))
    return "/".join(parts)


def _text(path: str) -> str:
    return Path(path).read_text(encoding="ascii").strip()


@dataclass(frozen=True)
class Holder:
    """A process on a machine; `born` tells it from a later one of the same number, `token` one claim from another."""

    host: str
    machine: str
    process: int
    born: float
    token: str

    @classmethod
    def here(cls) -> "Holder":
        """This process, with a new claim."""
        return cls(socket.gethostname(), _machine(), os.getpid(), psutil.Process().create_time(), uuid.uuid4().hex)

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"

    def computes(self, name: str) -> str:
        """What is said to who waits for a trial of this name."""
        return f"{name}: {self} computes it already; waiting for that"


def holder(path: Path) -> Holder | None:
    """Who holds a claim; None where nobody does, or who did has died."""
    try:
        found = Holder(**json.loads(path.read_text(encoding="utf-8")))
        last = path.stat().st_mtime
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        return None  # not ours to read: nobody who is at work wrote it
    return found if lives(found, path.parent, last) else None


def lives(found: Holder, folder: Path, last: float) -> bool:
    """Whether a process is alive; of one on another machine, whether its file in this folder was touched lately."""
    return _is_there(found) if found.machine == _machine() else _now(folder) - last < STALE


def _is_there(found: Holder) -> bool:
    try:
        # The system counts from its start, and may correct by a second when that was.
        return bool(abs(psutil.Process(found.process).create_time() - found.born) < 2)
    except psutil.Error:
        return False


def _now(folder: Path) -> float:
    """The time of the file system, which may be another machine's."""
    probe = folder / f".{uuid.uuid4().hex}"
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        probe.unlink(missing_ok=True)


@contextlib.contextmanager
def claimed(path: Path, wait: Callable[[Holder], None]) -> Iterator[None]:
    """Hold a claim within the block; `wait` is called every second while another process holds it, and may raise to give up."""
    mine = Holder.here()
    while not _take(path, mine):
        if other := holder(path):
            wait(other)
            time.sleep(LOOK_EVERY)
        else:
            _drop(path)
    try:
        with touching(path):
            yield
    finally:
        if (found := _held_by(path)) is None or found == mine.token:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def touching(path: Path) -> Iterator[None]:
    """Move the time of a file on within the block, by which other machines know that this process lives."""
    ended = threading.Event()
    beating = threading.Thread(target=_beat, args=(path, ended), daemon=True)
    beating.start()
    try:
        yield
    finally:
        ended.set()
        beating.join()


def _take(path: Path, mine: Holder) -> bool:
    """Create the file with all that it says at once; whether there was none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{mine.token}")
    draft.write_text(json.dumps(asdict(mine)), encoding="utf-8")
    try:
        os.link(draft, path)
    except FileExistsError:
        # A network file system may have done it and lost the answer.
        return draft.stat().st_nlink > 1
    except OSError:
        # A file system without links: everybody works for himself.
        return True
    finally:
        draft.unlink(missing_ok=True)
    return True


def _drop(path: Path) -> None:
    """Remove the claim of one that died, and no other that has come in its place meanwhile."""
    dead = _held_by(path)
    aside = path.with_name(f".{uuid.uuid4().hex}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    if _held_by(aside) != dead:
        with contextlib.suppress(FileExistsError):
            os.link(aside, path)
    aside.unlink(missing_ok=True)


def _held_by(path: Path) -> str | None:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["token"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _beat(path: Path, ended: threading.Event) -> None:
    while not ended.wait(BEAT):
        with contextlib.suppress(OSError):
            os.utime(path)
