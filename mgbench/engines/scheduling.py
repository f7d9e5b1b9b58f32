"""Which jobs may start?"""

from collections.abc import Iterable, Sequence

from mgbench.interfaces.engine import Job


def ready(waiting: Sequence[Job], running: Iterable[Job]) -> list[Job]:
    """The waiting jobs that need none of those that have not ended."""
    going_on = {job.key for job in (*waiting, *running)}
    return [job for job in waiting if job.needs not in going_on]
