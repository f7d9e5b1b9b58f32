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
from mgbench.interfaces.progress import INTERRUPTED, Interrupted, Progress
from mgbench.interfaces.ranks import Task, Team
from mgbench.recipes.recipe import Recipe
from mgbench.registry.loading import load
from mgbench.registry.registry import Registry
from mgbench.registry.resolve import assemble
from mgbench.results.store import Store
from mgbench.trials.fit import Helper
from mgbench.trials.notify_trackers import told
from mgbench.trials.plan import Row, Trial
from mgbench.trials.trial import run_trial


def work(job: Job, device: str, parent: Connection, team: Team) -> None:
    """Run one job in this process, telling the parent how far it is; exits with 130 if it was asked to stop, or left alone."""
    asked, on = _begin(job, device, parent)
    try:
        registry, store = load(job.sources), Store(job.root)
        trial, emit, stop = _trial(registry, job), _emitter(parent, asked), lambda: bool(asked)
        with (
            claimed(store.layout.claim(job.key), _waiting(job, Progress(emit, stop))),
            told(registry.life, job, trial, store, on, emit) as emit,
        ):
            run_trial(store, trial, on, Progress(emit, stop), job.options, team)
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
    asked, on = _begin(job, device, team.pipe)
    found: list[Helper] = []

    def do(task: Task) -> None:
        # Not before there is something to do: rank 0 may find all of it done.
        if not found:
            progress = Progress(stop=lambda: bool(asked)).of(team)
            found.append(Helper(Store(job.root), _trial(load(job.sources), job), on, progress, team))
        task.help(found[0])

    team.serve(do)


def _begin(job: Job, device: str, above: Connection) -> tuple[list[int], torch.device]:
    """Listen, also to whether who is above has gone, write to the log and take the device; what asked to stop, and the device."""
    asked = _listen()
    guard(above, asked)
    _to_log(job.log)
    # A process that crashes leaves in its log where it was.
    faulthandler.enable()
    torch.set_num_threads(1)
    on = torch.device(device)
    if on.type == "cuda":
        torch.cuda.set_device(on)
    return asked, on


def _trial(registry: Registry, job: Job) -> Trial:
    return Trial(job.key, tuple(_row(registry, job, method, recipe) for method, recipe in job.rows))


def _row(registry: Registry, job: Job, method: str, recipe: Recipe) -> Row:
    row = Row(method, assemble(registry, recipe), about=job.about)
    plugins = registry.versions(method, row.spelled)
    return replace(row, origin={"plugins": plugins, "study": job.study, "command": job.command})


def _listen() -> list[int]:
    """What asked to stop: a Ctrl-C in the terminal or the parent. Only noted, so that what is being written is finished first."""
    asked: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    return asked


def _to_log(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a", buffering=1)
    for stream in (1, 2):
        os.dup2(file.fileno(), stream)


def _emitter(parent: Connection, asked: list[int]) -> Callable[[Message], None]:
    def emit(message: Message) -> None:
        try:
            parent.send(message)
        except OSError:
            # The parent is gone: leave a checkpoint, for the same command to go on from, and hold nobody's cores.
            asked.append(signal.SIGHUP)

    return emit
