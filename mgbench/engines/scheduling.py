"""The order of jobs: a job starts when the job it needs has ended."""

from collections.abc import Iterable, Sequence

from mgbench.interfaces.engine import Job


def ready(waiting: Sequence[Job], running: Iterable[Job]) -> list[Job]:
    """The waiting jobs whose required jobs are neither waiting nor running."""
    unfinished = {job.key for job in (*waiting, *running)}
    return [job for job in waiting if unfinished.isdisjoint(job.needs)]
