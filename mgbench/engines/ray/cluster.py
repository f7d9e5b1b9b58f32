"""Run trials on the nodes of a Ray cluster, and start them again when a node is lost."""

import contextlib
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from mgbench.engines.local import STOPPED
from mgbench.engines.ray.file_sync import SyncedFile, pack, read_by, unpack
from mgbench.engines.ray.node import OnNode, Place, Setting, code_hash, file_hash
from mgbench.engines.scheduling import ready
from mgbench.interfaces.engine import End, Event, Job, Leases, Message, Note, RowEnded
from mgbench.results.files import write_text

LOOK_EVERY = 0.5
# A trial whose node is lost this many times fails: it may be what takes the nodes down.
CHANCES = 3
# Seconds that a killed trial has to report its end.
PATIENCE = 10.0
# Seconds without room for any trial after which a note is sent.
LONG = 30.0
CROWDED = "waiting for a node of the cluster that has room"


@dataclass(frozen=True)
class ActorResources:
    """Resources that each trial requests: `each` of kind "CPU" or "GPU"; and the largest number of concurrent trials."""

    kind: str
    each: int
    at_once: float = float("inf")

    def options(self) -> dict[str, Any]:
        """The resource options of a Ray actor."""
        return {"num_cpus": self.each if self.kind == "CPU" else 0, "num_gpus": self.each if self.kind == "GPU" else 0}

    def leases(self, of_all: Leases) -> Leases:
        """The leases of a trial on its node, where Ray shows only the devices it assigned."""
        return replace(of_all, devices="cuda" if self.kind == "GPU" else f"cpu:{self.each}")


@dataclass(eq=False)
class _Sent:
    job: Job
    actor: Any
    answer: Any = None
    """The pending reply of the actor: first to `inspect`, then to `drain`."""
    at: float = field(default_factory=time.monotonic)
    place: Place | None = None


class ClusterRun:
    """Run of jobs on the cluster that `connection` opens, each in an actor with the resources that it requests.

    Actors rather than tasks, because an actor can be asked to stop while it works.
    """

    def __init__(
        self,
        connection: contextlib.AbstractContextManager[ModuleType],
        resources: ActorResources,
        leases: Leases,
        look_for_folder: bool,
    ) -> None:
        self._connection, self._resources, self._leases = connection, resources, resources.leases(leases)
        self._look_for_folder = look_for_folder
        self._sent: list[_Sent] = []
        self._idle: list[_Sent] = []
        self._settings: dict[Path, Setting] = {}
        self._losses: Counter[str] = Counter()
        self._reported: Counter[str] = Counter()
        self._asked_to_stop = self._asked_to_kill = self._stopping = False
        self._deadline = float("inf")
        self._crowded = False

    def run(self, jobs: Sequence[Job]) -> Iterator[Event]:
        """As `mgbench.interfaces.engine.Run`; a job waits for the job it needs, and starts again when its node is lost."""
        waiting = list(jobs)
        if not waiting:
            return
        with contextlib.ExitStack() as tidy:
            ray = tidy.enter_context(self._connection)
            tidy.callback(self._remove_tokens)
            tidy.callback(self._leave, ray)
            while not self._over(waiting):
                self._obey(ray)
                self._use_idle(ray)
                for job in [] if self._stopping else ready(waiting, [sent.job for sent in self._sent]):
                    if len(self._sent) < self._resources.at_once:
                        waiting.remove(job)
                        self._send(ray, job)
                self._give_back(ray)
                yield from self._listen(ray, waiting)
                yield from self._look_after(ray)

    def stop(self) -> None:
        """Ask every running trial to finish its current write and end; start no more."""
        # Only recorded: a signal handler may call this in the middle of a call to Ray.
        self._asked_to_stop = True

    def kill(self) -> None:
        """End every running trial at once."""
        self._asked_to_stop = self._asked_to_kill = True

    def _over(self, waiting: Sequence[Job]) -> bool:
        return not self._sent and (not waiting or self._asked_to_stop)

    def _obey(self, ray: ModuleType) -> None:
        if self._asked_to_stop and not self._stopping:
            self._stopping = True
            for sent in list(self._sent):
                if sent.place:
                    sent.actor.stop.remote()
                else:
                    self._let_go(ray, sent)
        if self._asked_to_kill and self._deadline == float("inf"):
            self._deadline = time.monotonic() + PATIENCE
            for sent in self._sent:
                sent.actor.kill.remote()

    def _send(self, ray: ModuleType, job: Job) -> None:
        idle = self._take_idle(job)
        if idle and idle.place:
            sent = _Sent(job, idle.actor, place=idle.place)
            self._sent.append(sent)
            self._start(ray, sent, idle.place)
            return
        maker = ray.remote(OnNode).options(
            **self._resources.options(), max_concurrency=4, max_restarts=0, scheduling_strategy="SPREAD"
        )
        actor, setting = maker.remote(ray.put, ray.get), self._setting(job)
        files = [file_hash(Path(source.target)) for source in job.sources if source.target.endswith(".py")]
        self._sent.append(_Sent(job, actor, actor.inspect.remote(setting, files)))

    def _take_idle(self, job: Job) -> _Sent | None:
        """An actor whose trial has ended and that can run this job next: it is warm and holds its resources."""
        fits = [idle for idle in self._idle if (idle.job.root, idle.job.sources) == (job.root, job.sources)]
        if not fits or self._stopping:
            return None
        self._idle.remove(fits[0])
        return fits[0]

    def _use_idle(self, ray: ModuleType) -> None:
        """Give idle actors to jobs that wait for resources."""
        for sent in self._sent:
            if not sent.place and (idle := self._take_idle(sent.job)) and idle.place:
                _kill(ray, sent.actor)
                sent.actor, sent.place = idle.actor, idle.place
                self._start(ray, sent, idle.place)

    def _give_back(self, ray: ModuleType) -> None:
        for idle in self._idle:
            _kill(ray, idle.actor)
        self._idle.clear()

    def _setting(self, job: Job) -> Setting:
        """The setting of a job's results folder; a token file lies in that folder for as long as the run lasts."""
        known = self._settings.get(job.root)
        if known is None:
            secret = secrets.token_hex(16)
            token = job.root / f".shared.{secret[:8]}" if self._look_for_folder else None
            if token:
                write_text(token, secret)
            known = Setting(Path.cwd(), code_hash(job.sources), job.sources, token, secret)
            self._settings[job.root] = known
        return replace(known, sources=job.sources)

    def _remove_tokens(self) -> None:
        for setting in self._settings.values():
            if setting.token:
                setting.token.unlink(missing_ok=True)
        self._settings.clear()

    def _listen(self, ray: ModuleType, waiting: list[Job]) -> Iterator[Event]:
        by_answer = {sent.answer: sent for sent in self._sent}
        if not by_answer:
            return
        ray.wait(list(by_answer), timeout=LOOK_EVERY)
        answered, _ = ray.wait(list(by_answer), num_returns=len(by_answer), timeout=0)
        for answer in answered:
            sent = by_answer[answer]
            try:
                found = ray.get(answer)
                yield from self._hear(ray, sent, found)
            except ray.exceptions.RayTaskError as error:
                yield self._end(ray, sent, End("failed", f"its node could not run it: {_last_line(error)}"))
            except ray.exceptions.RayError as error:
                yield self._lost(ray, sent, waiting, error)

    def _hear(
        self, ray: ModuleType, sent: _Sent, found: Place | Sequence[SyncedFile | End | Message]
    ) -> Iterator[Event]:
        if isinstance(found, Place):
            sent.place = found
            if not found.same_code:
                reason = f"the node {found.name} has another mgbench or other plugins than this one; install the same"
                yield self._end(ray, sent, End("failed", reason))
                return
            self._start(ray, sent, found)
            return
        for item in found:
            if isinstance(item, SyncedFile):
                unpack(sent.job.root, [item], ray.get)
            elif isinstance(item, End):
                self._sent.remove(sent)
                self._idle.append(sent)
                yield Event(sent.job, item)
                return
            else:
                self._reported[sent.job.key] += isinstance(item, RowEnded)
                yield Event(sent.job, item)
        sent.answer = sent.actor.drain.remote()

    def _start(self, ray: ModuleType, sent: _Sent, place: Place) -> None:
        root = sent.job.root
        # Rows are reported in order; those reported before a node was lost are not computed again.
        left = replace(sent.job, rows=sent.job.rows[self._reported[sent.job.key] :])
        files = None if place.shared else pack(root, read_by(left), ray.put)
        lacks = [Path(source.target) for source in place.lacks]
        plugins = [file for path in lacks for file in pack(path.parent, [path], ray.put)]
        started = sent.actor.start.remote(left, self._leases, files, plugins)
        sent.answer = sent.actor.drain.remote(started)

    def _lost(self, ray: ModuleType, sent: _Sent, waiting: list[Job], error: Exception) -> Event:
        self._losses[sent.job.key] += 1
        losses, why = self._losses[sent.job.key], f"{type(error).__name__}: {_last_line(error)}"
        if self._reported[sent.job.key] == len(sent.job.rows):
            return self._end(ray, sent, End())
        if self._stopping:
            return self._end(ray, sent, STOPPED)
        if losses >= CHANCES:
            return self._end(ray, sent, End("failed", f"its node was lost {losses} times, at last by {why}"))
        self._let_go(ray, sent)
        waiting.insert(0, sent.job)
        return Event(sent.job, Note(f"{sent.job.name}: its node was lost ({why}); it is started again on another"))

    def _end(self, ray: ModuleType, sent: _Sent, end: End) -> Event:
        self._let_go(ray, sent)
        return Event(sent.job, end)

    def _let_go(self, ray: ModuleType, sent: _Sent) -> None:
        self._sent.remove(sent)
        _kill(ray, sent.actor)

    def _leave(self, ray: ModuleType) -> None:
        for sent in (*self._sent, *self._idle):
            _kill(ray, sent.actor)

    def _look_after(self, ray: ModuleType) -> Iterator[Event]:
        """End killed trials that do not report their end, and send a note when no trial finds resources."""
        now = time.monotonic()
        if now > self._deadline:
            for sent in list(self._sent):
                yield self._end(ray, sent, End("interrupted", "it was ended at once"))
        stuck = bool(self._sent) and all(sent.place is None and now - sent.at > LONG for sent in self._sent)
        if stuck and not self._crowded:
            yield Event(self._sent[0].job, Note(f"{self._sent[0].job.name}: {CROWDED}"))
        self._crowded = stuck


def _kill(ray: ModuleType, actor: object) -> None:
    with contextlib.suppress(ray.exceptions.RayError):
        ray.kill(actor)


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
