"""Who works on a trial together: ranks 0 … W − 1, a process and a device each. Most teams are of one.

What is written for a team runs the same with one rank as with many: rank 0 does all that a trial needs and asks the others to
help with what takes long. They send each other plain values; gradients go their own way, through accelerate.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


class Task(Protocol):
    """What rank 0 asks the others to help with; it crosses to their processes."""

    # Any: the ranks beside the first hold what the task needs, and only task and rank know what that is.
    def help(self, helper: Any) -> None:
        """Do a rank's share, which consists of the same exchanges in the same order as that of rank 0."""


class RankFailed(Exception):
    """Another rank could not do its share; the message says which, and why."""


class RankRanOut(RankFailed, MemoryError):
    """Another rank could not do its share for want of memory."""


@dataclass
class Team:
    """The one rank of a team of one, which every exchange gives back what it was given."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this rank is the one that reads, writes and tells."""
        return self.rank == 0

    def gather(self, value: T) -> list[T]:
        """The values of all ranks in their order, at rank 0; nothing at the others."""
        return [value]

    def share(self, value: T) -> T:
        """The value of rank 0."""
        return value

    def everyone(self, value: T) -> list[T]:
        """The values of all ranks in their order, at each of them."""
        return self.share(self.gather(value))

    def agree(self, flag: bool) -> bool:
        """Whether the flag is set at any rank."""
        return any(self.everyone(flag))

    def total(self, number: float) -> float:
        """The sum over ranks."""
        return sum(self.everyone(number))

    def mean(self, number: float) -> float:
        """The mean over ranks."""
        return self.total(number) / self.size

    def share_of(self, batch: int) -> slice:
        """Which rows of a batch are this rank's: an equal share, which follows those of the ranks before.

        Raises:
            ValueError: if there are no equal shares.
        """
        if batch % self.size:
            raise ValueError(f"a batch of {batch} cannot be shared equally among {self.size} devices")
        each = batch // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    @contextmanager
    def on(self, task: Task) -> Iterator[None]:
        """Rank 0: let the others help with a task, in which this rank does its share inside the `with`.

        Raises:
            RankFailed: if another rank could not do its share.
        """
        yield

    @contextmanager
    def group(self, device: "torch.device") -> Iterator[None]:
        """Inside the `with`, accelerate finds the other ranks, and averages gradients over all."""
        yield


ALONE = Team()
