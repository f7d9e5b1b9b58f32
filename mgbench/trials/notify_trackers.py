"""Notify trackers of the progress of a trial, which continues whatever they raise."""

import copy
import random
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch

from mgbench.errors import as_sentence
from mgbench.interfaces.engine import Job, Message, Note, StageProgress
from mgbench.interfaces.tracking import FINISHED, LOGGED, STARTED, TrackedRun
from mgbench.registry.registry import TrackerHooks
from mgbench.results.store import Store
from mgbench.trials.plan import Trial

Emit = Callable[[Message], None]


@contextmanager
def notified(
    trackers: Mapping[str, TrackerHooks], job: Job, trial: Trial, store: Store, device: torch.device, emit: Emit
) -> Iterator[Emit]:
    """Inside the `with`, trackers, by plugin, are notified that the trial starts, of every message, and how its rows
    ended.

    A tracker that raises is named in a note, its traceback goes to the log, and it is not called again in this trial.
    """
    notifier = _Notifier(trackers, job, trial, device, emit)
    notifier.notify(STARTED)
    try:
        yield notifier.emit
    finally:
        if notifier:
            found = (store.record(row.key) for row in trial.rows)
            notifier.notify(FINISHED, records=[record for record in found if record is not None])


class _Notifier:
    """The trackers that have not raised yet."""

    def __init__(
        self, trackers: Mapping[str, TrackerHooks], job: Job, trial: Trial, device: torch.device, emit: Emit
    ) -> None:
        self._hooks = {name: trackers[name] for name in job.trackers}
        self._runs = {name: _run(name, job, trial, device) for name in job.trackers}
        self._device, self._emit, self._log = device, emit, job.log

    def __bool__(self) -> bool:
        return bool(self._hooks)

    def emit(self, message: Message) -> None:
        """Pass a message on, and notify the trackers of what was measured."""
        self._emit(message)
        if isinstance(message, StageProgress) and message.measured:
            self.notify(LOGGED, stage=message.stage, step=message.done, values=dict(message.measured))

    def notify(self, hook: str, **values: object) -> None:
        """Call a hook of every tracker that has it, each with copies of its own."""
        for name, hooks in list(self._hooks.items()):
            if hook not in hooks:
                continue
            try:
                with _same_random_numbers(self._device):
                    hooks[hook](run=self._runs[name], **copy.deepcopy(values))
            except (Exception, SystemExit) as error:
                traceback.print_exc()
                del self._hooks[name]
                reason = f"tracker {name!r} is not called again in this trial: {as_sentence(error)} (log: {self._log})"
                self._emit(Note(reason))


def _run(name: str, job: Job, trial: Trial, device: torch.device) -> TrackedRun:
    first, *others = [row.spelled for row in trial.rows]
    shared = {field: value for field, value in first.items() if all(row[field] == value for row in others)}
    return TrackedRun(
        job.study,
        job.name,
        job.key,
        job.about,
        tuple(dict.fromkeys(row.method for row in trial.rows)),
        shared.get("seed"),
        copy.deepcopy(shared),
        job.command,
        str(device),
        Store(job.root).layout.tracker(name, job.key),
    )


@contextmanager
def _same_random_numbers(device: torch.device) -> Iterator[None]:
    """Restore the state of all random number generators after the `with`."""
    here, there = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        random.setstate(here)
        np.random.set_state(there)
