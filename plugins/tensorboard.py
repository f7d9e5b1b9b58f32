"""Loss curves and scores for TensorBoard: `--track tensorboard`, then `tensorboard --logdir
results/trackers/tensorboard`.

A trial is a run; its recipe and scores are shown in the table of hyperparameters.
"""

from collections.abc import Mapping, Sequence

from mgbench import hookimpl
from mgbench.interfaces.tracking import Accelerated, TrackedRun, file_name, outcomes, scores, settings
from mgbench.results.record import Record

_trackers = Accelerated("tensorboard")


@hookimpl
def mgbench_run_started(run: TrackedRun) -> None:
    from accelerate.tracking import TensorBoardTracker

    _trackers.start(run, lambda: TensorBoardTracker(file_name(run), run.folder))


@hookimpl
def mgbench_step_logged(run: TrackedRun, stage: str, step: int, values: Mapping[str, float]) -> None:
    _trackers.of(run).log({f"{stage}/{name}": value for name, value in values.items()}, step)


@hookimpl
def mgbench_run_finished(run: TrackedRun, records: Sequence[Record]) -> None:
    tracker = _trackers.of(run)
    tracker.log(outcomes(records))
    # Accelerate would write the settings to a separate run, without scores.
    tracker.tracker.add_hparams(settings(run), scores(records), run_name=".")
    tracker.finish()
