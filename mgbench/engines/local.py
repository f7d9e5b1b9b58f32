"""Trials side by side on this machine: a process each, on devices leased to it, so that one that dies takes nothing along."""

import math
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from mgbench.engines.claims import Holder, holder
from mgbench.engines.devices import groups
from mgbench.engines.limits import MEMORY_SHARE, memory_of, memory_of_machine, too_large, too_long, why_it_died
from mgbench.engines.worker import work
from mgbench.hookspecs import hookimpl
from mgbench.jobs import End, Engine, Event, Job, Leases
from mgbench.progress import INTERRUPTED, STOPPED_BY_USER
from mgbench.record import Layout

# Loaded once, before the trials fork off, because each takes seconds to import.
PRELOAD = ["mgbench.engines.worker", "accelerate", "diffusers.schedulers", "sklearn.datasets", "sklearn.cluster"]
# A process that was told to end is given so many seconds to finish the write in hand.
PATIENCE = 60.0
LOOK_EVERY = 1.0
STOPPED = End("interrupted", STOPPED_BY_USER)


@dataclass(frozen=True)
class Local:
    """On this machine: a process for each trial, with one thread for each CPU device."""

    def open(self, leases: Leases) -> "LocalRun":
        return LocalRun(leases)


@dataclass
class _Running:
    job: Job
    devices: tuple[str, ...]
    process: Any
    connection: Connection
    started: float = field(default_factory=time.monotonic)
    ended: End | None = None
    """What was decided about it before its process ended."""
    patience: float = float("inf")
    """When it is killed if it has not ended."""


class LocalRun:
    """Runs jobs, at most one on a group of devices; `stop` asks the running ones to end, `kill` ends them.

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
        self._leases = leases
        self._free = groups(leases.devices, leases.each)
        self._running: list[_Running] = []
        self._stopping = False
        self._looked = 0.0
        self._holders: dict[str, tuple[float, Holder | None]] = {}
        self._told: set[str] = set()

    def run(self, jobs: Sequence[Job]) -> Iterator[Event]:
        """As `mgbench.jobs.Run`: a job waits for the one whose key it needs, and those behind it may start before it.

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
            running.process.terminate()

    def kill(self) -> None:
        """End every running trial at once."""
        self._stopping = True
        for running in self._running:
            running.process.kill()

    def _start_all(self, waiting: list[Job]) -> Iterator[Event]:
        """Start as many jobs as there are devices for, and tell of those that another run computes."""
        for job in self._ready(waiting):
            if not self._free or self._stopping:
                break
            if other := self._claimed(job):
                if job.key not in self._told:
                    self._told.add(job.key)
                    yield Event(job, {"note": f"{job.name}: {other} computes it already; waiting for that"})
                continue
            waiting.remove(job)
            self._start(job)

    def _ready(self, waiting: Sequence[Job]) -> list[Job]:
        """The jobs that need none of those that have not ended."""
        going_on = {job.key for job in (*waiting, *(running.job for running in self._running))}
        return [job for job in waiting if job.needs not in going_on]

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
        process = self._context.Process(target=work, args=(job, devices, theirs), name=job.name)
        process.start()
        theirs.close()
        self._running.append(_Running(job, devices, process, ours))

    def _listen(self) -> Iterator[Event]:
        by_connection = {running.connection: running for running in self._running}
        for connection in wait(list(by_connection), timeout=LOOK_EVERY):
            running = by_connection[connection]  # type: ignore[index]
            try:
                yield Event(running.job, running.connection.recv())
            except (EOFError, OSError):
                yield Event(running.job, end=self._end(running))

    def _end(self, running: _Running) -> End:
        running.process.join(PATIENCE)
        if running.process.exitcode is None:
            running.process.kill()
            running.process.join()
        running.connection.close()
        self._running.remove(running)
        self._free.append(running.devices)
        return running.ended or self._how_it_ended(running.process.exitcode)

    def _how_it_ended(self, exit_code: int) -> End:
        if exit_code == 0:
            return End()
        if exit_code == INTERRUPTED:
            return STOPPED
        return End("interrupted" if self._stopping else "failed", why_it_died(exit_code))

    def _look_after(self) -> None:
        """End what takes too long or too much memory, and what was told to end and does not."""
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY:
            return
        self._looked = now
        for running in self._running:
            if now > running.patience:
                running.process.kill()
            elif running.ended is None and self._leases.seconds and now - running.started > self._leases.seconds:
                running.ended, running.patience = too_long(self._leases.seconds), now + PATIENCE
                running.process.terminate()
        self._weigh()

    def _weigh(self) -> None:
        held = [(memory_of([running.process.pid]), running) for running in self._running if running.ended is None]
        if not held:
            return
        allowed = self._leases.memory or float("inf")
        for size, running in held:
            if size > allowed:
                self._crush(running, too_large(size, allowed, "--trial-memory allows"))
        total, share = sum(size for size, _ in held), MEMORY_SHARE * memory_of_machine()
        if total > share:
            size, largest = max(held, key=lambda pair: pair[0])
            self._crush(largest, too_large(size, share, "all trials of this machine together may hold"))

    def _crush(self, running: _Running, ended: End) -> None:
        # At once: what asks for more and more memory does not listen.
        running.ended = running.ended or ended
        running.process.kill()


@hookimpl
def mgbench_engines() -> dict[str, type[Engine]]:
    return {"local": Local}
