import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec

import pytest

from mgbench import testing
from mgbench.interfaces.engine import End, Event, Job, Leases, Note, RowEnded, StageProgress
from mgbench.results.record import Record
from mgbench.results.store import Store
from tests.laws.registered import built, every

# Before Ray is imported, if it is: what it starts in tests is reached from this machine alone.
os.environ |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
EXTRAS = {"ray": "ray"}


@pytest.mark.slow
@every("engine")
def test_every_engine_keeps_the_laws(name: str) -> None:
    if name in EXTRAS and find_spec(EXTRAS[name]) is None:
        pytest.skip(f"{name} needs a package that is not installed: pip install 'mgbench[{name}]'")
    testing.engine(built("engine", name))


class Pretended:
    """An engine that trains nothing, and breaks one law."""

    def __init__(self, broken: str = "") -> None:
        self.broken = broken

    def open(self, leases: Leases) -> "PretendedRun":
        return PretendedRun(self.broken)


class PretendedRun:
    def __init__(self, broken: str) -> None:
        self.broken = broken
        self.stopped = False

    def run(self, jobs: Sequence[Job]) -> Iterator[Event]:
        order = jobs if self.broken == "start a job when" else sorted(jobs, key=lambda job: bool(job.needs))
        for job in order:
            if self.stopped and self.broken != "start no more":
                return
            yield from self.one(job)

    def one(self, job: Job) -> Iterator[Event]:
        yield Event(job, StageProgress("train", 1, 1))
        status = {"broken": "failed", "diverging": "diverged", "endless": "interrupted"}.get(job.name, "done")
        if self.broken == f"how the rows of {job.name} ended":
            status = "failed"
        if job.name == "endless":
            if self.broken != "leave a checkpoint":
                Store(job.root).save_checkpoint(job.root / "models" / job.key, b"")
            if self.broken != "record its rows as interrupted":
                self.record(job, "0", status)
            yield Event(job, End("failed" if self.broken == "say of what it stops" else "interrupted"))
            return
        for index in range(len(job.rows) if job.name != "broken" else 0):
            if self.broken != "have recorded every row":
                self.record(job, str(index), status)
            for _ in range(2 if self.broken == "every row of first once" else 1):
                yield Event(job, RowEnded(f"{job.name}{index}", status))  # type: ignore[arg-type]
        if self.broken != "tell the end of every job":
            failed = job.name == "broken" if self.broken != "whose process ended early" else False
            failed |= self.broken == "leave those alone" and job.name == "second"
            yield Event(job, End("failed", "exit code 1") if failed else End())
        if self.broken == "after its end":
            yield Event(job, Note("by the way"))

    def record(self, job: Job, index: str, status: str) -> None:
        key = f"{job.name}{index}"
        Store(job.root).save_record(Record(key, job.key, job.name, status, {}))  # type: ignore[arg-type]

    def stop(self) -> None:
        self.stopped = True

    def kill(self) -> None:
        self.stopped = True


@pytest.mark.parametrize(
    "law",
    [
        "tell the end of every job",
        "after its end",
        "whose process ended early",
        "leave those alone",
        "every row of first once",
        "how the rows of diverging ended",
        "have recorded every row",
        "start a job when",
        "start no more",
        "say of what it stops",
        "record its rows as interrupted",
        "leave a checkpoint",
    ],
)
def test_a_broken_engine_breaks_its_law(law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        testing.engine(Pretended(law))


def test_the_engine_that_is_broken_here_keeps_the_laws_as_it_is() -> None:
    testing.engine(Pretended())
