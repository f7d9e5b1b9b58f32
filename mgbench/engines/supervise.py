"""Run the trials of a study on an engine, and record the rows of trials whose process ended before it recorded them."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from mgbench.interfaces.engine import End, Event, Job, RowEnded, Run
from mgbench.results.record import ending
from mgbench.results.store import Store
from mgbench.trials.plan import Trial

UNSAID = End("failed", "its process ended before it was done")


def supervise(
    engine: Run, store: Store, trials: Sequence[Trial], as_job: Callable[[Trial], Job], show: Callable[[Event], None]
) -> None:
    """Run every trial to its end and show every event; rows that a dead process left unrecorded are recorded with the reason."""
    by_key = {trial.key: trial for trial in trials}
    reported: set[str] = set()
    for event in engine.run([as_job(trial) for trial in trials]):
        match event.message:
            case RowEnded(row, status, reason):
                reported.add(row)
                # Where what was planned changed meanwhile, its own process has no such row to record.
                if status == "interrupted" and store.record(row) is None:
                    planned = next(each for each in by_key[event.job.key].rows if each.key == row)
                    store.save_record(planned.record(status, reason))
            case End() as end:
                event = Event(event.job, _recorded(store, by_key[event.job.key], reported, end))
        show(event)


def _recorded(store: Store, trial: Trial, reported: Collection[str], end: End) -> End:
    """Record the rows of a trial that were not reported; the end of the trial, a success if there are none."""
    left = [row for row in trial.rows if row.key not in reported and not _done(store, row.key)]
    if not left:
        return End()
    end = end if end.status else UNSAID
    log = store.layout.log(trial.key)
    for row in left:
        store.save_record(row.record(end.status or "failed", f"{end.reason} (log: {log})", tail=_tail(log)))
    return end


def _tail(log: Path) -> str:
    try:
        return ending(log.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""  # the process printed nothing


def _done(store: Store, key: str) -> bool:
    found = store.record(key)
    return found is not None and found.status == "done"
