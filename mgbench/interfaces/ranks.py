"""Process groups: the ranks 0 … W − 1 that run a trial together, each a process with its own device.

Code written for a team runs unchanged with a single rank. Rank 0 runs the trial and sends tasks to the other ranks for
the long stages. Collectives exchange plain values; gradients are averaged by torch.distributed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


class Task(Protocol):
    """A stage that all ranks run together; rank 0 sends it, pickled, to the other ranks."""

    # Any: only the task and the ranks know what a rank holds for it.
    def run(self, helper: Any) -> None:
        """Run the stage on a rank other than 0, calling the same collectives in the same order as rank 0."""


class RankFailed(Exception):
    """Another rank failed; the message gives its number and its error."""


class RankRanOut(RankFailed, MemoryError):
    """Another rank ran out of memory."""


@dataclass
class Team:
    """Single-process group: every collective returns its input."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which reads and writes files and reports progress."""
        return self.rank == 0

    def gather(self, value: T) -> list[T]:
        """The values of all ranks in rank order, on rank 0; an empty list on the others."""
        return [value]

    def broadcast(self, value: T) -> T:
        """The value of rank 0, on every rank."""
        return value

    def scatter(self, values: Sequence[T]) -> T:
        """The value at this rank's place among those that rank 0 gives, one for each rank; the others' are not read."""
        return values[0]

    def all_gather(self, value: T) -> list[T]:
        """The values of all ranks in rank order, on every rank."""
        return self.broadcast(self.gather(value))

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any rank."""
        return any(self.all_gather(flag))

    def sum(self, number: float) -> float:
        """The sum of the numbers of all ranks."""
        return sum(self.all_gather(number))

    def mean(self, number: float) -> float:
        """The mean of the numbers of all ranks."""
        return self.sum(number) / self.size

    def shard(self, batch: int, part: int = 0, parts: int = 1) -> slice:
        """The rows of a batch that this rank processes in one of its equal parts: contiguous shards in rank order.

        Raises:
            ValueError: if the batch cannot be divided equally.
        """
        shards = self.size * parts
        if batch % shards:
            in_parts = f" in {parts} parts each" if parts > 1 else ""
            raise ValueError(f"a batch of {batch} cannot be divided equally among {self.size} devices{in_parts}")
        each, before = batch // shards, self.rank * parts + part
        return slice(before * each, (before + 1) * each)

    @contextmanager
    def running(self, task: Task) -> Iterator[None]:
        """On rank 0: run a task on the other ranks, while the body of the `with` runs this rank's part.

        Raises:
            RankFailed: if another rank failed.
        """
        yield

    @contextmanager
    def group(self, device: "torch.device") -> Iterator[None]:
        """Context in which torch.distributed connects to the other ranks, and gradients are averaged over all."""
        yield


ALONE = Team()
