"""What runs inside the process of one trial: load the plugins again, compute the rows, tell the parent."""

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
from mgbench.engines.locks import Holder, claimed
from mgbench.engines.watchdog import guard
from mgbench.interfaces.engine import Job, Message, Note
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


def work(job: Job, device: str, parent: Connection, team: Team) -> None:
    """Run one job in this process, telling the parent how far it is; exits with 130 if it was asked to stop, or left alone."""
    request = _listen()
    try:
        on = _begin(job, device, parent, request)
        with request.anywhere():
            registry, store = load(job.sources), Store(job.root)
            trial = _trial(registry, job)
        progress = Progress(_emitter(parent, request), lambda: request.asked, request.anywhere)
        with (
            claimed(store.layout.claim(job.key), _waiting(job, progress)),
            notified(registry.life, job, trial, store, on, progress.emit) as emit,
        ):
            run_trial(store, trial, on, replace(progress, emit=emit), job.options, team)
    except Interrupted:
        sys.exit(INTERRUPTED)
    finally:
        parent.close()


def _waiting(job: Job, progress: Progress) -> Callable[[Holder], None]:
    """What to do each second while another run computes the job: say so once, and listen whether to stop."""
    told: list[Holder] = []

    def wait(other: Holder) -> None:
        if not told:
            told.append(other)
            progress.emit(Note(other.computes(job.name)))
        progress.check()

    return wait


def assist(job: Job, device: str, team: Other) -> None:
    """Help the first process of a job, which tells the parent of both, until it has gone."""
    request = _listen()
    on = _begin(job, device, team.pipe, request)
    found: list[Helper] = []

    def do(task: Task) -> None:
        # Not before there is something to do: rank 0 may find all of it done.
        if not found:
            progress = Progress(stop=lambda: request.asked).of(team)
            found.append(Helper(Store(job.root), _trial(load(job.sources), job), on, progress, team))
        task.help(found[0])

    team.serve(do)


def _begin(job: Job, device: str, above: Connection, request: StopRequest) -> torch.device:
    """Watch the pipe to the parent, write to the log and take the device."""
    guard(above, request)
    _to_log(job.log)
    # A process that crashes leaves in its log where it was.
    faulthandler.enable()
    torch.set_num_threads(1)
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
    """Take Ctrl-C in the terminal, and SIGTERM from the parent, as a request to stop."""
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
            # The parent is gone: leave a checkpoint, for the same command to go on from, and hold nobody's cores.
            request.asked = True

    return emit
