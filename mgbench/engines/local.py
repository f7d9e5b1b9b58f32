"""Run trials in parallel on this machine: one process for each device of a trial, so that a crash ends one trial only."""

import math
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from multiprocessing.connection import Connection, wait
from typing import Any

from mgbench.engines import server
from mgbench.engines.devices import groups
from mgbench.engines.distributed import First, Other
from mgbench.engines.locks import Holder, holder
from mgbench.engines.resources import MEMORY_SHARE, memory_of, memory_of_machine, too_large, too_long, why_it_died
from mgbench.engines.scheduling import ready
from mgbench.engines.worker import HELD, assist, work
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.engine import End, Engine, Event, Job, Leases, Note
from mgbench.interfaces.progress import INTERRUPTED, STOPPED_BY_USER
from mgbench.interfaces.ranks import ALONE
from mgbench.machine import context
from mgbench.results.layout import Layout

# Seconds that a process has to end after it was asked to.
PATIENCE = 60.0
LOOK_EVERY = 1.0
ALLOWED, TOGETHER = "--trial-memory allows", "all trials of this machine together may hold"
STOPPED = End("interrupted", STOPPED_BY_USER)


class _StoppedAtStart(Exception):
    """The run was stopped while a process was being started."""


@dataclass(frozen=True)
class Local:
    """On this machine: a process for each device of a trial, with one thread where that is a CPU."""

    def open(self, leases: Leases) -> "LocalRun":
        return LocalRun(leases)


@dataclass
class _Running:
    job: Job
    devices: tuple[str, ...]
    processes: list[Any]
    """By rank; rank 0 sends the messages of all."""
    connection: Connection
    started: float = field(default_factory=time.monotonic)
    ended: End | None = None
    """The end that was decided before its process ended, such as a timeout."""
    patience: float = float("inf")
    """The time (monotonic seconds) at which it is killed if it has not ended."""

    def terminate(self) -> None:
        """Ask its processes to end."""
        for process in self.processes:
            process.terminate()

    def kill(self) -> None:
        """End its processes at once."""
        for process in self.processes:
            process.kill()


class LocalRun:
    """Run of jobs on this machine, at most one at a time on a group of devices.

    `stop` may be called by a signal handler while a process is being started, which takes as long as the preloaded
    imports; that start is then abandoned.

    Raises:
        UserError: if the devices are not there.
    """

    def __init__(self, leases: Leases) -> None:
        server.start()
        self._context = context()
        self._leases = leases
        self._free = groups(leases.devices, leases.each)
        self._running: list[_Running] = []
        self._stopping = self._starting = False
        self._looked = 0.0
        self._holders: dict[str, tuple[float, Holder | None]] = {}
        self._reported: set[str] = set()

    def run(self, jobs: Sequence[Job]) -> Iterator[Event]:
        """As `mgbench.interfaces.engine.Run`; a job waits for the job it needs, and for another run that computes the
        same.

        Jobs behind a waiting one may start first.
        """
        waiting = list(jobs)
        while self._running or (waiting and not self._stopping):
            yield from self._start_all(waiting)
            yield from self._listen(waiting)
            self._look_after()

    def stop(self) -> None:
        """Ask every running trial to finish its current write and end; start no more."""
        self._stopping = True
        for running in self._running:
            running.terminate()
        if self._starting:
            raise _StoppedAtStart

    def kill(self) -> None:
        """End every running trial at once."""
        self._stopping = True
        for running in self._running:
            running.kill()

    def _start_all(self, waiting: list[Job]) -> Iterator[Event]:
        """Start as many jobs as there are free devices, and report those that another run computes."""
        for job in ready(waiting, [running.job for running in self._running]):
            if not self._free or self._stopping:
                break
            if other := self._locked(job):
                if job.key not in self._reported:
                    self._reported.add(job.key)
                    yield Event(job, Note(other.computes(job.name)))
                continue
            waiting.remove(job)
            with suppress(_StoppedAtStart):
                self._start(job)

    def _locked(self, job: Job) -> Holder | None:
        """The process of another run that computes a job, if any; looked up once a second."""
        now = time.monotonic()
        at, found = self._holders.get(job.key, (-math.inf, None))
        if now - at > LOOK_EVERY:
            found = holder(Layout(job.root).lock(job.key))
            self._holders[job.key] = now, found
        return found

    def _start(self, job: Job) -> None:
        devices = self._free.pop(0)
        ours, theirs = self._context.Pipe(duplex=False)
        pairs = [self._context.Pipe() for _ in devices[1:]]
        first, size = First([pair[0] for pair in pairs]) if pairs else ALONE, len(devices)
        processes = [self._context.Process(target=work, args=(job, devices[0], theirs, first), name=job.name)]
        for rank, (_, pipe) in enumerate(pairs, 1):
            other = Other(rank, size, pipe)
            processes.append(self._context.Process(target=assist, args=(job, devices[rank], other), name=job.name))
        self._starting = True
        try:
            for process in processes:
                process.start()
        finally:
            self._starting = False
        # With our copies closed, each process sees when the other end of its pipe closes.
        for pipe in (theirs, *chain.from_iterable(pairs)):
            pipe.close()
        self._running.append(_Running(job, devices, processes, ours))

    def _listen(self, waiting: list[Job]) -> Iterator[Event]:
        """Report what running jobs send; a job that another run began at the same moment waits again."""
        by_connection: dict[Any, _Running] = {running.connection: running for running in self._running}
        by_process: dict[Any, _Running] = {
            process.sentinel: running for running in self._running for process in running.processes[1:]
        }
        for found in wait([*by_connection, *by_process], timeout=LOOK_EVERY):
            if found in by_process:
                self._lose(by_process[found])
                continue
            running = by_connection[found]
            try:
                yield Event(running.job, running.connection.recv())
            except (EOFError, OSError):
                if end := self._end(running):
                    yield Event(running.job, end)
                else:
                    waiting.insert(0, running.job)

    def _lose(self, running: _Running) -> None:
        """Handle the end of a rank other than 0: unless rank 0 has ended or sent a message, kill it, as it would wait in vain."""
        if running.connection.closed or running.connection.poll():
            return
        running.ended = running.ended or self._why(running.processes)
        running.kill()

    def _end(self, running: _Running) -> End | None:
        first, *others = running.processes
        first.join(PATIENCE)
        # The other ranks of a team write nothing after rank 0 has ended.
        running.kill()
        for process in (first, *others):
            process.join()
        running.connection.close()
        self._running.remove(running)
        self._free.append(running.devices)
        return running.ended or self._how_it_ended(running)

    def _how_it_ended(self, running: _Running) -> End | None:
        """The end of a job; None where another run computes it."""
        exit_code = running.processes[0].exitcode
        if exit_code == 0:
            return End()
        if exit_code == HELD:
            self._holders.pop(running.job.key, None)
            return None
        # A process that had not installed its handlers yet is ended by the signal itself.
        stopped = (INTERRUPTED, -signal.SIGTERM) if self._stopping else (INTERRUPTED,)
        return STOPPED if exit_code in stopped else self._why(running.processes[:1])

    def _why(self, processes: Sequence[Any]) -> End:
        """The end reported for the last of these processes that has ended by itself."""
        rank = max(rank for rank, process in enumerate(processes) if process.exitcode is not None)
        reason = why_it_died(processes[rank].exitcode)
        return End("interrupted" if self._stopping else "failed", f"rank {rank}: {reason}" if rank else reason)

    def _look_after(self) -> None:
        """End trials that exceed their time or memory, and kill those that were asked to end and did not."""
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY:
            return
        self._looked = now
        for running in self._running:
            if now > running.patience:
                running.kill()
            elif running.ended is None and self._leases.seconds and now - running.started > self._leases.seconds:
                running.ended, running.patience = too_long(self._leases.seconds), now + PATIENCE
                running.terminate()
        self._weigh()

    def _weigh(self) -> None:
        # Trials share the pages loaded before the fork, and only a slow measurement divides those among them.
        if self._too_large(exactly=False):
            for running, ended in self._too_large(exactly=True):
                # Killed at once: a process that keeps allocating does not react to requests.
                running.ended = running.ended or ended
                running.kill()

    def _too_large(self, exactly: bool) -> list[tuple[_Running, End]]:
        """Trials that hold more memory than allowed, each with the end to report."""
        going_on = [running for running in self._running if running.ended is None]
        held = [(memory_of((process.pid for process in running.processes), exactly), running) for running in going_on]
        allowed = self._leases.memory or math.inf
        found = [(running, too_large(size, allowed, ALLOWED)) for size, running in held if size > allowed]
        total, share = sum(size for size, _ in held), MEMORY_SHARE * memory_of_machine()
        if total > share:
            size, largest = max(held, key=lambda pair: pair[0])
            found.append((largest, too_large(size, share, TOGETHER)))
        return found


@hookimpl
def mgbench_engines() -> dict[str, type[Engine]]:
    return {"local": Local}
