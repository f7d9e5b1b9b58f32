"""The actor on a node of a cluster: runs a trial by `LocalRun`, in the shared results folder or in a temporary one."""

import hashlib
import os
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mgbench
from mgbench.engines.local import STOPPED, LocalRun
from mgbench.engines.ray.file_sync import SyncedFile, Watch, unpack
from mgbench.interfaces.engine import End, Job, Leases, Message, Note, RowEnded, StageProgress
from mgbench.recipes.source import Source
from mgbench.results.record import load_record
from mgbench.results.store import RECORD, Store

# Seconds for which events are collected into one reply.
GATHER = 0.2
NodeMessage = Message | End | SyncedFile


@dataclass(frozen=True)
class Setting:
    """The setting of the command: its working folder, a hash of its code, its plugins, and a secret in the file
    `token`.

    The token lies in the results folder: a node that reads the secret there shares that folder (None: nodes do not
    check).
    """

    folder: Path
    code: str
    sources: tuple[Source, ...]
    token: Path | None
    secret: str


@dataclass(frozen=True)
class Place:
    """A node: whether it has the code of the command and shares its results folder, and the plugin files it lacks."""

    name: str
    same_code: bool
    shared: bool
    lacks: tuple[Source, ...]


def code_hash(sources: Sequence[Source]) -> str:
    """A hash of the code of mgbench and of installed plugins; plugins given as files are compared, and sent, by themselves."""
    hashed = hashlib.sha256(_our_code())
    for source in sorted(sources, key=lambda source: source.name):
        if not source.target.endswith(".py"):
            spec = find_spec(source.target)
            path = Path(spec.origin) if spec and spec.origin else None
            hashed.update(path.read_bytes() if path and path.is_file() else b"")
    return hashed.hexdigest()


@cache
def _our_code() -> bytes:
    root, hashed = Path(mgbench.__file__).parent, hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        hashed.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return hashed.digest()


def file_hash(path: Path) -> str:
    """The SHA-256 sum of a plugin file; empty if there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


class OnNode:
    """Actor that runs one trial at a time on the devices that Ray assigned: `inspect`, `start`, then `drain` until the
    end.

    `put` stores bytes for transport and returns their carrier; `get` returns the bytes of a carrier.
    """

    def __init__(self, put: Callable[[bytes], Any], get: Callable[[Any], bytes]) -> None:
        self._put, self._get = put, get
        self._trial: _Trial | None = None

    def inspect(self, setting: Setting, files: Sequence[str]) -> Place:
        """Compare this node with the setting of the command; `files` are the hashes of the plugins that are files."""
        if setting.folder.is_dir():
            # Relative paths of datasets and plugins then resolve as for the command.
            os.chdir(setting.folder)
        loose = [source for source in setting.sources if source.target.endswith(".py")]
        lacks = [source for source, known in zip(loose, files, strict=True) if file_hash(Path(source.target)) != known]
        shared = setting.token is not None and _reads(setting.token) == setting.secret
        return Place(os.uname().nodename, code_hash(setting.sources) == setting.code, shared, tuple(lacks))

    def start(
        self, job: Job, leases: Leases, files: Sequence[SyncedFile] | None, plugins: Sequence[SyncedFile]
    ) -> None:
        """Start a trial; with `files`, in a temporary folder that holds them; `plugins` are files that this node lacks."""
        home = Path(tempfile.mkdtemp(prefix="mgbench-")) if plugins or files is not None else None
        watch, root = None, job.root
        if home:
            unpack(home, plugins, self._get)
            job = replace(job, sources=tuple(_moved(source, plugins, home) for source in job.sources))
        if home and files is not None:
            root = home / "results"
            unpack(root, files, self._get)
            watch = Watch(root)
        here = replace(job, root=root)
        self._trial = _Trial(here, leases, home, watch, str(job.root))

    def drain(self, started: None = None) -> list[NodeMessage]:
        """Events since the last call, at least one, each preceded by the files that it refers to.

        `started` is the reply of `start`, passed only so that Ray calls this after it.
        """
        assert self._trial
        return self._trial.drain(self._put)

    def stop(self) -> None:
        """As `LocalRun.stop`."""
        if self._trial:
            self._trial.run.stop()

    def kill(self) -> None:
        """As `LocalRun.kill`."""
        if self._trial:
            self._trial.run.kill()


class _Trial:
    """A running trial; with `watch` it works in a temporary folder, whose changes are sent, and `home` is deleted at
    the end.

    Raises:
        UserError: if the assigned devices do not exist.
    """

    def __init__(self, job: Job, leases: Leases, home: Path | None, watch: Watch | None, root: str) -> None:
        self.run = LocalRun(leases)
        self._job, self._home, self._watch, self._root = job, home, watch, root
        self._stage = ""
        self._events: queue.Queue[Message | End] = queue.Queue()
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        end = STOPPED
        try:
            for event in self.run.run([self._job]):
                if isinstance(event.message, End):
                    end = event.message
                else:
                    self._events.put(event.message)
        except Exception as error:
            end = End("failed", f"{type(error).__name__} on {os.uname().nodename}: {error}")
        self._events.put(end)

    def drain(self, put: Callable[[bytes], Any]) -> list[NodeMessage]:
        events = [self._events.get()]
        time.sleep(GATHER)
        while not self._events.empty():
            events.append(self._events.get())
        items = [item for event in events for item in self._with_files(event, put)]
        if isinstance(items[-1], End) and self._home:
            shutil.rmtree(self._home, ignore_errors=True)
        return items

    def _with_files(self, event: Message | End, put: Callable[[bytes], Any]) -> Iterator[NodeMessage]:
        """An event, preceded by new files if it may refer to any, so that they are in place when it is reported."""
        if self._watch and self._came_of_something(event):
            self._make_ours(self._watch.root)
            yield from self._watch.changed(put)
        if isinstance(event, RowEnded):
            event = replace(event, reason=self._ours(event.reason))
        yield event

    def _came_of_something(self, event: Message | End) -> bool:
        if not isinstance(event, StageProgress):
            return not isinstance(event, Note)
        before, self._stage = self._stage, event.stage
        return self._stage != before

    def _make_ours(self, root: Path) -> None:
        """Replace the path of the temporary log in records by that of the log in the results folder."""
        for path in root.glob(f"runs/*/{RECORD}"):
            record = load_record(path)
            ours = replace(record, reason=self._ours(record.reason), tail=self._ours(record.tail))
            if ours != record:
                Store(root).save_record(ours)

    def _ours(self, text: str) -> str:
        return text.replace(str(self._job.root), self._root)


def _reads(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _moved(source: Source, plugins: Sequence[SyncedFile], folder: Path) -> Source:
    arrived = folder / Path(source.target).name
    known = {file.path for file in plugins}
    return replace(source, target=str(arrived)) if arrived.name in known and source.target.endswith(".py") else source
