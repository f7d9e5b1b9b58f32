"""Laws of engines: all jobs run and are reported, failures do not affect other jobs, and requests to stop are followed.

They run real trials of about a second each.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mgbench.interfaces.engine import End, Engine, Event, Job, Leases, RowEnded, Run, StageProgress
from mgbench.recipes.recipe import Recipe
from mgbench.results.layout import Layout
from mgbench.results.record import Status, load_record
from mgbench.testing.checks import need

_TINY = Recipe().change(
    tokenizer="patch(size=4)",
    network="mae(width=16, depth=1, heads=2)",
    head="diffusion(width=16, depth=1, noise_samples=1)",
    sampler="random_order",
    guidance_schedule="none",
    solver="dpmpp_multistep(steps=2)",
    train_steps=6,
    batch_size=16,
    warmup_steps=0,
    sampling_steps=2,
    samples=20,
)


def engine(component: Engine) -> None:
    """An engine runs every job and reports its end, isolates failures, and stops on request.

    All of this is seen in one run, because some engines take long to open: when all others have ended, a job begins that
    would never end, and the run is stopped.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "run"
        run = component.open(Leases("cpu:2"))
        finite, endless = _finite(root), _job(root, "endless", _TINY.change(train_steps=10**7))
        endless = replace(endless, needs=tuple(job.key for job in finite))
        waiting = _job(root, "waiting", _TINY.change(batch_size=4), needs=(endless.key,))
        events = _events(run, [*finite, endless, waiting], lambda event: _stop_in_training(run, event, endless))
        _run_to_the_end(root, _of_jobs(events, finite), finite)
        _stops(root, events, endless)


def _finite(root: Path) -> list[Job]:
    first = _job(root, "first", _TINY, _TINY.change(sampling_steps=1))
    return [
        _job(root, "second", _TINY.change(batch_size=8), needs=(first.key,)),
        _job(root, "broken", _TINY.change(sampler="of_no_plugin")),
        _job(root, "diverging", _TINY.change(learning_rate=1e30)),
        first,
    ]


def _stop_in_training(run: Run, event: Event, job: Job) -> None:
    if event.job.name == job.name and _of_stage(event, "train"):
        run.stop()


def _of_jobs(events: Sequence[Event], jobs: Sequence[Job]) -> list[Event]:
    names = [job.name for job in jobs]
    return [event for event in events if event.job.name in names]


def _run_to_the_end(root: Path, events: Sequence[Event], jobs: Sequence[Job]) -> None:
    ends = {event.job.name: event.end for event in events if event.end}
    _need_ends(events, jobs)
    need((ends["broken"].status or "") == "failed", "must say of a trial whose process ended early that it failed")
    others = [name for name in ("first", "second", "diverging") if ends[name] != End()]
    need(not others, f"must leave those alone that are beside one that fails, and not {', '.join(others)}")
    _need_rows(root, events, {"first": ["done"] * 2, "second": ["done"], "diverging": ["diverged"], "broken": []})
    told = [(event.job.name, event.end is None) for event in events]
    waited = told.index(("second", True)) > told.index(("first", False))
    need(waited, "must start a job when the one that it needs has ended, and not before")


def _stops(root: Path, events: Sequence[Event], endless: Job) -> None:
    of_endless = _of_jobs(events, [endless])
    _need_ends(of_endless, [endless])
    need(not [event for event in events if event.job.name == "waiting"], "must start no more when it was asked to stop")
    end = next(event.end for event in of_endless if event.end)
    need(end.status == "interrupted", f"must say of what it stops that it is interrupted, and not {end.status!r}")
    records = [load_record(path) for path in root.glob("runs/*/record.json")]
    found = [record.status for record in records if record.method == endless.name]
    need(found == ["interrupted"], "must let what it stops record its rows as interrupted")
    checkpoints = list(Layout(root).root.glob("models/*/checkpoint.pt"))
    need(len(checkpoints) == 1, "must let what it stops leave a checkpoint to go on from")


def _job(root: Path, name: str, *recipes: Recipe, needs: tuple[str, ...] = ()) -> Job:
    rows = tuple((name, recipe) for recipe in recipes)
    return Job(name, f"law-{name}", "images", needs, rows, (), root)


def _events(run: Run, jobs: Sequence[Job], note: Callable[[Event], None] = lambda event: None) -> list[Event]:
    events = []
    for event in run.run(jobs):
        note(event)
        events.append(event)
    return events


def _need_ends(events: Sequence[Event], jobs: Sequence[Job]) -> None:
    ended: Counter[str] = Counter()
    for event in events:
        need(not ended[event.job.name], f"must tell nothing of {event.job.name} after its end")
        ended[event.job.name] += event.end is not None
    need(
        {job.name for job in jobs} <= {name for name in ended if ended[name]},
        "must tell the end of every job that it ran",
    )


def _need_rows(root: Path, events: Sequence[Event], expected: dict[str, list[Status]]) -> None:
    for name, statuses in expected.items():
        ended = [said for event in events if isinstance(said := event.message, RowEnded) and event.job.name == name]
        told, count = {row.row: row.status for row in ended}, len(ended)
        need(count == len(told) == len(statuses), f"must tell of every row of {name} once, and told of {count}")
        need(sorted(told.values()) == statuses, f"must tell how the rows of {name} ended, {statuses}")
        for key, status in told.items():
            path = Layout(root).run(key) / "record.json"
            need(
                path.is_file() and load_record(path).status == status,
                f"must have recorded every row that it tells of ({name})",
            )


def _of_stage(event: Event, stage: str) -> bool:
    return isinstance(event.message, StageProgress) and event.message.stage == stage
