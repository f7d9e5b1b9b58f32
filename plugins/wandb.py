"""Loss curves and scores for Weights & Biases: `--track wandb`, logged in or with `WANDB_MODE=offline`.

A study is a project, unless `WANDB_PROJECT` is set, and a trial is a run; scores are in its summary.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from mgbench import hookimpl
from mgbench.interfaces.tracking import Accelerated, TrackedRun, outcomes, scores, settings
from mgbench.results.record import Record

_STAGES = ("tokenize", "train")
_LONGEST_TAG = 64
_trackers = Accelerated("wandb")


@hookimpl
def mgbench_run_started(run: TrackedRun) -> None:
    tracker = _trackers.start(run, lambda: _tracker(run))
    tracker.store_init_configuration(settings(run))
    for stage in _STAGES:
        # Its own steps never go back, and those of every stage begin at 1.
        tracker.tracker.define_metric(f"{stage}/*", step_metric=f"{stage}/step")


def _tracker(run: TrackedRun) -> Any:
    import wandb
    from accelerate.tracking import WandBTracker

    run.folder.mkdir(parents=True, exist_ok=True)
    # What is printed goes to the trial's log already.
    quiet = wandb.Settings(console="off", silent=True)
    project = os.environ.get("WANDB_PROJECT", run.study)
    tags = [method[:_LONGEST_TAG] for method in run.methods]
    return WandBTracker(project, name=run.name, dir=run.folder, tags=tags, settings=quiet)


@hookimpl
def mgbench_step_logged(run: TrackedRun, stage: str, step: int, values: Mapping[str, float]) -> None:
    _trackers.of(run).log({f"{stage}/step": step, **{f"{stage}/{name}": value for name, value in values.items()}})


@hookimpl
def mgbench_run_finished(run: TrackedRun, records: Sequence[Record]) -> None:
    import wandb

    tracker = _trackers.of(run)
    tracker.tracker.summary.update({**scores(records), **outcomes(records)})
    tracker.finish()
    # Its service would end with the interpreter, which the process of a trial does not live to see.
    wandb.teardown()
