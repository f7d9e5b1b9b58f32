"""Loss curves and scores for MLflow: `--track mlflow`, with the server in `MLFLOW_TRACKING_URI`.

Without a server, files are written; view them with `MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri
results/trackers/mlflow`. A study is an experiment, and a trial is a run.
"""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mgbench import hookimpl
from mgbench.interfaces.tracking import Accelerated, TrackedRun, outcomes, scores, settings
from mgbench.results.record import Record

# Characters that its names may not have.
_FORBIDDEN = re.compile(r"[^\w\-. :/]")
_LONGEST_TAG = 5000
_trackers = Accelerated("mlflow")


@hookimpl
def mgbench_run_started(run: TrackedRun) -> None:
    tracker = _trackers.start(run, lambda: _tracker(run))
    tracker.store_init_configuration(settings(run))


def _tracker(run: TrackedRun) -> Any:
    import mlflow
    from accelerate.tracking import MLflowTracker

    if not os.environ.get("MLFLOW_TRACKING_URI"):
        # The small distribution of MLflow lacks the database back end, and the file back end has to be allowed
        # explicitly.
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
        # A common store, because trials that start at the same time would each create one.
        store = run.folder.parent.resolve()
        store.mkdir(parents=True, exist_ok=True)
        mlflow.set_tracking_uri(store.as_uri())
    return MLflowTracker(run.study, run_name=run.name)


@hookimpl
def mgbench_step_logged(run: TrackedRun, stage: str, step: int, values: Mapping[str, float]) -> None:
    _trackers.of(run).log({f"{stage}/{name}": value for name, value in values.items()}, step)


@hookimpl
def mgbench_run_finished(run: TrackedRun, records: Sequence[Record]) -> None:
    import mlflow

    tracker = _trackers.of(run)
    tracker.log({_allowed(name): value for name, value in scores(records).items()})
    mlflow.set_tags({_allowed(name): text[:_LONGEST_TAG] for name, text in outcomes(records).items()})
    tracker.finish()


def _allowed(name: str) -> str:
    return _FORBIDDEN.sub("_", name)
