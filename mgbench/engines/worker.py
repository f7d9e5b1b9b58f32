"""Main functions of the processes of a trial: load the plugins, compute the rows, send progress to the parent."""

import faulthandler
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType

import torch

from mgbench.engines.distributed import Other
from mgbench.engines.locks import Holder, locked
from mgbench.engines.process import set_up_process
from mgbench.engines.watchdog import watch_parent
from mgbench.errors import UserError
from mgbench.interfaces.engine import Job, Message, RowEnded
from mgbench.interfaces.images import watched_by
from mgbench.interfaces.progress import INTERRUPTED, Interrupted, Progress, StopRequest
from mgbench.interfaces.ranks import Task, Team
from mgbench.recipes.recipe import Recipe
from mgbench.registry.loading import load
from mgbench.registry.registry import Registry
from mgbench.registry.resolve import assemble
from mgbench.results.store import Store
from mgbench.trials.fit import Helper
from mgbench.trials.notify_trackers import notified
from mgbench.trials.plan import Row, Trial
from mgbench.trials.trial import run_trial

# Exit status of a process whose trial another run computes (EX_TEMPFAIL of sysexits.h).
HELD = 75


def work(job: Job, device: str, parent: Connection, team: Team) -> None:
    """Run one job and send messages to the parent; exits with 130 when asked to stop, or when the parent is gone, and with
    `HELD` when another run computes the job, so that its device is free for the next one.
    """
    request = _listen()
    try:
        on = _begin(job, device, parent, request)
        progress = Progress(_emitter(parent, request), lambda: request.asked, request.anywhere)
        with request.anywhere(), watched_by(progress.seldom("read")):
            registry, trial = _as_planned(job)
        store = Store(job.root)
        with (
            locked(store.layout.lock(job.key), _give_back),
            notified(registry.trackers, job, trial, store, on, progress.emit) as emit,
        ):
            run_trial(store, trial, on, replace(progress, emit=emit), job.options, team)
    except Interrupted:
        sys.exit(INTERRUPTED)
    except Held:
        sys.exit(HELD)
    except Changed as error:
        for key in job.planned:
            parent.send(RowEnded(key, "interrupted", str(error)))
    finally:
        parent.close()


class Changed(Exception):
    """The code or the data of a job is not what it was when the job was planned; the message says which."""


def _as_planned(job: Job) -> tuple[Registry, Trial]:
    """The plugins of a job, and its trial.

    Raises:
        Changed: if that would not be what was planned.
    """
    again = "run the same command again, which plans it anew and keeps what is done"
    try:
        registry = load(job.sources)
    except UserError as error:
        if not job.planned:
            raise
        raise Changed(f"{error}; it did load when this run began, so it was changed meanwhile; {again}") from None
    trial = _trial(registry, job)
    if job.planned and job.planned != tuple(row.key for row in trial.rows):
        changed = [source.target for source, code in zip(job.sources, job.code, strict=True) if source.code() != code]
        what = " and ".join(changed) or "code or data that it rests on"
        raise Changed(f"{what} was changed while the run went on, so that nothing of this was computed; {again}")
    return registry, trial


class Held(Exception):
    """Another run computes the trial."""


def _give_back(other: Holder) -> None:
    raise Held(other)


def assist(job: Job, device: str, team: Other) -> None:
    """Serve rank 0 of a job, the only rank that sends messages to the parent, until rank 0 exits."""
    request = _listen()
    on = _begin(job, device, team.pipe, request)
    found: list[Helper] = []

    def do(task: Task) -> None:
        # Loaded on the first task only: rank 0 may find that everything is done already.
        if not found:
            progress = Progress(stop=lambda: request.asked)
            found.append(Helper(Store(job.root), _as_planned(job)[1], on, progress, team))
        task.run(found[0])

    team.serve(do)


def _begin(job: Job, device: str, above: Connection, request: StopRequest) -> torch.device:
    """Watch the pipe to the parent, redirect output to the log, and select the device."""
    watch_parent(above, request)
    _to_log(job.log)
    # A process that crashes writes its stack to the log.
    faulthandler.enable()
    set_up_process()
    on = torch.device(device)
    if on.type == "cuda":
        torch.cuda.set_device(on)
    return on


def _trial(registry: Registry, job: Job) -> Trial:
    return Trial(job.key, tuple(_row(registry, job, method, recipe) for method, recipe in job.rows))


def _row(registry: Registry, job: Job, method: str, recipe: Recipe) -> Row:
    row = Row(method, assemble(registry, recipe), about=job.about)
    plugins = registry.versions(method, row.spelled)
    return replace(row, origin={"plugins": plugins, "study": job.study, "command": job.command})


def _listen() -> StopRequest:
    """Turn SIGINT (Ctrl-C) and SIGTERM (from the parent) into a request to stop."""
    request = StopRequest()

    def note(number: int, frame: FrameType | None) -> None:
        request.signalled()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    return request


def _to_log(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a", buffering=1)
    for stream in (1, 2):
        os.dup2(file.fileno(), stream)


def _emitter(parent: Connection, request: StopRequest) -> Callable[[Message], None]:
    def emit(message: Message) -> None:
        try:
            parent.send(message)
        except OSError:
            # The parent is gone: write a checkpoint, so that the same command resumes, and free the cores.
            request.asked = True

    return emit
