"""Trials side by side on this machine: a process each, on a device leased to it, so that one that dies takes nothing along."""

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from mgbench.engines.worker import Job, work

# Loaded once, before the trials fork off, because each takes seconds to import.
PRELOAD = ["mgbench.engines.worker", "accelerate", "diffusers.schedulers", "sklearn.datasets", "sklearn.cluster"]
PATIENCE = 60.0


@dataclass(frozen=True)
class Event:
    """What happened in one trial: a stage's progress, a row's end, or with `exit_code` the end of its process."""

    job: Job
    values: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None


@dataclass
class _Running:
    job: Job
    process: Any
    connection: Connection


class LocalEngine:
    """Runs jobs, at most one per slot; each slot is a device. `stop` asks the running ones to end, `kill` ends them."""

    def __init__(self, slots: Sequence[str]) -> None:
        # One thread a trial: two can be many times slower than one on a busy machine.
        os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
        methods = multiprocessing.get_all_start_methods()
        self._context: Any = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        if "forkserver" in methods:
            self._context.set_forkserver_preload(PRELOAD)
        self._free = list(slots)
        self._running: list[_Running] = []
        self._stopping = False

    def run(self, jobs: Sequence[Job]) -> Iterator[Event]:
        """Yield events until every job has ended, or those that ran when `stop` was called have.

        A job waits for the one whose key it needs, and those behind it may start before it.
        """
        waiting = list(jobs)
        while self._running or (waiting and not self._stopping):
            while self._free and not self._stopping and (ready := self._ready(waiting)):
                waiting.remove(ready)
                self._start(ready)
            yield from self._listen()

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

    def _ready(self, waiting: Sequence[Job]) -> Job | None:
        """The first job that needs none of those that have not ended."""
        going_on = {job.key for job in (*waiting, *(running.job for running in self._running))}
        return next((job for job in waiting if job.needs not in going_on), None)

    def _start(self, job: Job) -> None:
        device = self._free.pop(0)
        job = Job(**{**vars(job), "device": device})
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(target=work, args=(job, theirs), name=job.name)
        process.start()
        theirs.close()
        self._running.append(_Running(job, process, ours))

    def _listen(self) -> Iterator[Event]:
        by_connection = {running.connection: running for running in self._running}
        for connection in wait(list(by_connection), timeout=1.0):
            running = by_connection[connection]  # type: ignore[index]
            try:
                yield Event(running.job, running.connection.recv())
            except (EOFError, OSError):
                yield self._end(running)

    def _end(self, running: _Running) -> Event:
        running.process.join(PATIENCE)
        if running.process.exitcode is None:
            running.process.kill()
            running.process.join()
        running.connection.close()
        self._running.remove(running)
        self._free.append(running.job.device)
        return Event(running.job, exit_code=running.process.exitcode)


def why_it_died(exit_code: int) -> str:
    """A sentence for an exit code that is not 0."""
    if exit_code < 0:
        known = {number.value: number.name for number in signal.Signals}
        return f"its process was ended by {known.get(-exit_code, f'signal {-exit_code}')}"
    return f"its process ended with exit code {exit_code}"
