"""Trials side by side on this machine: a process for each device leased to one, so that one that dies takes no other along."""

import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from typing import Any

from mgbench.engines.devices import groups
from mgbench.engines.distributed import First, Other
from mgbench.engines.locks import Holder, holder
from mgbench.engines.resources import MEMORY_SHARE, memory_of, memory_of_machine, too_large, too_long, why_it_died
from mgbench.engines.scheduling import ready
from mgbench.engines.worker import assist, work
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.engine import End, Engine, Event, Job, Leases, Note
from mgbench.interfaces.progress import INTERRUPTED, STOPPED_BY_USER
from mgbench.interfaces.ranks import ALONE
from mgbench.results.layout import Layout

# Loaded once, before the trials fork off, because each takes seconds to import.
PRELOAD = ["mgbench.engines.worker", "accelerate", "diffusers.schedulers", "sklearn.datasets", "sklearn.cluster"]
# A process that was told to end is given so many seconds to finish the write in hand.
PATIENCE = 60.0
LOOK_EVERY = 1.0
ALLOWED, TOGETHER = "--trial-memory allows", "all trials of this machine together may hold"
STOPPED = End("interrupted", STOPPED_BY_USER)


class _StoppedAtStart(Exception):
    """The run was stopped while a process was being started."""


def _start_server() -> None:
    """Start the process that trials fork from with Ctrl-C ignored: it would print a traceback of what it imports at that time."""
    if threading.current_thread() is not threading.main_thread():
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)


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
    """By rank; the first tells of all."""
    connection: Connection
    started: float = field(default_factory=time.monotonic)
    ended: End | None = None
    """What was decided about it before its process ended."""
    patience: float = float("inf")
    """When it is killed if it has not ended."""

    def terminate(self) -> None:
        """Ask it to end."""
        for process in self.processes:
            process.terminate()

    def kill(self) -> None:
        """End it at once."""
        for process in self.processes:
            process.kill()


class LocalRun:
    """Runs jobs, at most one on a group of devices; `stop` asks the running ones to end, `kill` ends them.

    `stop` may be called by a signal handler while a process is started, which takes as long as what is preloaded takes to import;
    the start is given up then.

    Raises:
        UserError: if the devices are not there.
    """

    def __init__(self, leases: Leases) -> None:
        # One thread a trial: two can be many times slower than one on a busy machine.
        os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
        methods = multiprocessing.get_all_start_methods()
        self._context: Any = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        if "forkserver" in methods:
            self._context.set_forkserver_preload(PRELOAD)
            _start_server()
        self._leases = leases
        self._free = groups(leases.devices, leases.each)
        self._running: list[_Running] = []
        self._stopping = self._starting = False
        self._looked = 0.0
        self._holders: dict[str, tuple[float, Holder | None]] = {}
        self._told: set[str] = set()

    def run(self, jobs: Sequence[Job]) -> Iterator[Event]:
        """As `mgbench.interfaces.engine.Run`: a job waits for the one whose key it needs; those behind it may start first.

        So it does for another run that computes the same.
        """
        waiting = list(jobs)
        while self._running or (waiting and not self._stopping):
            yield from self._start_all(waiting)
            yield from self._listen()
            self._look_after()

    def stop(self) -> None:
        """Ask every running trial to finish the write in hand and end; start no more."""
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
        """Start as many jobs as there are devices for, and tell of those that another run computes."""
        for job in ready(waiting, [running.job for running in self._running]):
            if not self._free or self._stopping:
                break
            if other := self._claimed(job):
                if job.key not in self._told:
                    self._told.add(job.key)
                    yield Event(job, Note(other.computes(job.name)))
                continue
            waiting.remove(job)
            with suppress(_StoppedAtStart):
                self._start(job)

    def _claimed(self, job: Job) -> Holder | None:
        """Which process of another run computes a job; looked up once a second."""
        now = time.monotonic()
        at, found = self._holders.get(job.key, (-math.inf, None))
        if now - at > LOOK_EVERY:
            found = holder(Layout(job.root).claim(job.key))
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
        # Of what only they hold now, each sees when the other end has gone.
        for pipe in (theirs, *chain.from_iterable(pairs)):
            pipe.close()
        self._running.append(_Running(job, devices, processes, ours))

    def _listen(self) -> Iterator[Event]:
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
                yield Event(running.job, self._end(running))

    def _lose(self, running: _Running) -> None:
        """A process beside the first has ended. Unless that one has, or has something to say, it waits for the other in vain."""
        if running.connection.closed or running.connection.poll():
            return
        running.ended = running.ended or self._why(running.processes)
        running.kill()

    def _end(self, running: _Running) -> End:
        first, *others = running.processes
        first.join(PATIENCE)
        # What is left of a team whose first has ended has nothing to write.
        running.kill()
        for process in (first, *others):
            process.join()
        running.connection.close()
        self._running.remove(running)
        self._free.append(running.devices)
        return running.ended or self._how_it_ended(running)

    def _how_it_ended(self, running: _Running) -> End:
        exit_code = running.processes[0].exitcode
        if exit_code == 0:
            return End()
        # One that had not begun to listen is ended by the signal itself.
        told = (INTERRUPTED, -signal.SIGTERM) if self._stopping else (INTERRUPTED,)
        return STOPPED if exit_code in told else self._why(running.processes[:1])

    def _why(self, processes: Sequence[Any]) -> End:
        """What is told of the last of these that has ended by itself."""
        rank = max(rank for rank, process in enumerate(processes) if process.exitcode is not None)
        reason = why_it_died(processes[rank].exitcode)
        return End("interrupted" if self._stopping else "failed", f"rank {rank}: {reason}" if rank else reason)

    def _look_after(self) -> None:
        """End what takes too long or too much memory, and what was told to end and does not."""
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
        # Trials share what was loaded before they forked off, and only a slow look tells what each holds of it.
        if self._too_large(exactly=False):
            for running, ended in self._too_large(exactly=True):
                # At once: what asks for more and more memory does not listen.
                running.ended = running.ended or ended
                running.kill()

    def _too_large(self, exactly: bool) -> list[tuple[_Running, End]]:
        """What holds more memory than it may, and what becomes of it."""
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
