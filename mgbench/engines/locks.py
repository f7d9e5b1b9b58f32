"""Leases on trials, so that two runs of one study divide its trials and compute none twice.

A lease is a file that only one process can create (by a hard link) and whose modification time its holder renews; it
expires when the holder's process has ended, or, for a holder on another machine, when the time has not been renewed for
150 s. Locks of the operating system are not used, because network file systems do not provide them reliably. A lease
saves work and protects no data: every write is atomic, and two processes that compute the same trial write the same
results.

`filelock.SoftFileLease` (4.3.1) was tried in place of this: with six processes that contend for a lease and are killed
every half second, neither let two hold it at once, these leases were taken 1.4 to 2 times as often, and the tests of
killed studies pass with either. Heartbeat and liveness of a process serve `mgbench status` too, and would stay; its
waiters observe a lease of another machine for its whole duration before they take it over, where one look at the
modification time suffices here.
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

# Seconds between renewals, and seconds without one after which a holder on another machine counts as dead.
BEAT = 20.0
STALE = 150.0
LOOK_EVERY = 1.0


@cache
def _machine() -> str:
    """An identifier of this machine, its boot, and the container (PID namespace) of this process."""
    parts = [str(uuid.getnode())]
    for path, read in (("/proc/sys/kernel/random/boot_id", _text), ("/proc/self/ns/pid", os.readlink)):
        with contextlib.suppress(OSError):
            parts.append(read(path))
    return "/".join(parts)


def _text(path: str) -> str:
    return Path(path).read_text(encoding="ascii").strip()


@dataclass(frozen=True)
class Holder:
    """The process that holds a lease; its start time `born` tells it from a later process of the same id; `token` is unique."""

    host: str
    machine: str
    process: int
    born: float
    token: str

    @classmethod
    def here(cls) -> "Holder":
        """This process, with a new token."""
        return cls(socket.gethostname(), _machine(), os.getpid(), psutil.Process().create_time(), uuid.uuid4().hex)

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"

    def computes(self, name: str) -> str:
        """The sentence for a run that waits for a trial of this name."""
        return f"{name}: {self} computes it already; waiting for that"


def holder(path: Path) -> Holder | None:
    """The holder of a lease; None where there is none, it cannot be read, or it has expired."""
    try:
        found = Holder(**json.loads(path.read_text(encoding="utf-8")))
        last = path.stat().st_mtime
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        return None  # unreadable: no running process of ours wrote it
    return found if lives(found, path.parent, last) else None


def lives(found: Holder, folder: Path, last: float) -> bool:
    """Whether a holder is alive: its process exists here, or, on another machine, its file was renewed at `last`, recently."""
    return _is_there(found) if found.machine == _machine() else _now(folder) - last < STALE


def _is_there(found: Holder) -> bool:
    try:
        # The start time is relative to the boot time, which the system may correct by a second.
        return bool(abs(psutil.Process(found.process).create_time() - found.born) < 2)
    except psutil.Error:
        return False


def _now(folder: Path) -> float:
    """The current time by the clock of the file system, which may be on another machine."""
    probe = folder / f".{uuid.uuid4().hex}"
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        probe.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path: Path, wait: Callable[[Holder], None]) -> Iterator[None]:
    """Hold a lease inside the `with`; `wait` is called every second while another process holds it, and may raise to give up."""
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
    """Renew the modification time of a file inside the `with`: a heartbeat that other machines can see."""
    ended = threading.Event()
    beating = threading.Thread(target=_beat, args=(path, ended), daemon=True)
    beating.start()
    try:
        yield
    finally:
        ended.set()
        beating.join()


def _take(path: Path, mine: Holder) -> bool:
    """Create the lease file with its whole content at once; whether that succeeded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{mine.token}")
    draft.write_text(json.dumps(asdict(mine)), encoding="utf-8")
    try:
        os.link(draft, path)
    except FileExistsError:
        # NFS may have made the link and lost the reply; then the draft has two links.
        return draft.stat().st_nlink > 1
    except OSError:
        # A file system without hard links: every run computes for itself.
        return True
    finally:
        draft.unlink(missing_ok=True)
    return True


def _drop(path: Path) -> None:
    """Remove an expired lease, but not one that another process has created in its place meanwhile."""
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
