"""What the ranks of a team say to each other, and what becomes of a task in which one of them fails; here in threads."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import Pipe
from typing import Any

import pytest
import torch

from mgbench.engines import distributed as ranks
from mgbench.engines.distributed import First, Other
from mgbench.interfaces.progress import Interrupted
from mgbench.interfaces.ranks import RankFailed, RankRanOut, Team
from mgbench.stages.memory import with_less

# What tasks do, by name: tasks cross as plain values.
SHARES: dict[str, Callable[[Team], object]] = {}


@dataclass(frozen=True)
class Named:
    name: str

    def run(self, helper: Any) -> None:
        SHARES[self.name](helper)


@dataclass
class Crew:
    """A first rank, and threads in which the others serve it."""

    first: First
    others: list[Other]
    threads: list[threading.Thread] = field(default_factory=list)

    def do(self, share: Callable[[Team], Any]) -> Any:
        """Have every rank do the same; what it comes to at the first."""
        SHARES["share"] = share
        with self.first.running(Named("share")):
            return share(self.first)


@contextmanager
def crew(size: int, helper: Callable[[Other], Any] = lambda other: other) -> Iterator[Crew]:
    pairs = [Pipe() for _ in range(size - 1)]
    others = [Other(rank, size, pair[1]) for rank, pair in enumerate(pairs, 1)]
    made = Crew(First([pair[0] for pair in pairs]), others)
    for other in others:
        serve = threading.Thread(
            target=other.serve, args=(lambda task, other=other: task.run(helper(other)),), daemon=True
        )
        serve.start()
        made.threads.append(serve)
    yield made
    for here, _ in pairs:
        here.close()
    for thread in made.threads:
        thread.join(5)
        assert not thread.is_alive(), "a rank whose first has gone goes too"


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_exchange_values(size: int) -> None:
    heard: dict[int, Any] = {}

    def share(team: Team) -> None:
        gathered = [tensor.tolist() for tensor in team.gather(torch.full((2,), team.rank))]
        assert team.scatter([10 * rank for rank in range(size)] if team.is_first else []) == 10 * team.rank
        heard[team.rank] = gathered, team.broadcast(team.rank + 7), team.sum(1.5), team.mean(team.rank)

    with crew(size) as made:
        made.do(share)
    everywhere = (7, 1.5 * size, (size - 1) / 2)
    assert heard == {rank: ([[r, r] for r in range(size) if not rank], *everywhere) for rank in range(size)}


@pytest.mark.parametrize("asked", [None, 0, 1, 2])
def test_ranks_agree_when_any_was_asked(asked: int | None) -> None:
    said: list[bool] = []
    with crew(3) as made:
        made.do(lambda team: said.append(team.any(team.rank == asked)))
    assert said == [asked is not None] * 3


def raising(error: BaseException, at: int) -> Callable[[Team], object]:
    """Two exchanges, and between them an error at one rank."""

    def share(team: Team) -> object:
        team.all_gather("before")
        if team.rank == at:
            raise error
        return team.all_gather("after")

    return share


@pytest.mark.parametrize("at", [1, 2])
def test_a_rank_that_fails_is_told_with_its_reason_and_the_team_goes_on(at: int) -> None:
    with crew(3) as made:
        with pytest.raises(RankFailed, match=rf"^rank {at}: ValueError: two tensors disagree\n"):
            made.do(raising(ValueError("two tensors disagree"), at))
        assert made.do(lambda team: team.all_gather(team.rank)) == [0, 1, 2], "nothing is left over of the task before"


def test_when_the_first_fails_the_others_wait_for_what_comes_next() -> None:
    with crew(3) as made:
        with pytest.raises(ValueError, match=r"^mine$"):
            made.do(raising(ValueError("mine"), 0))
        assert made.do(lambda team: team.all_gather(team.rank)) == [0, 1, 2]


def test_what_fails_alike_everywhere_is_told_once() -> None:
    def share(team: Team) -> None:
        time.sleep(0.1 * (not team.rank))
        raise ValueError("no such option")

    with crew(2) as made, pytest.raises(ValueError, match=r"^no such option$"):
        made.do(share)


def test_what_fails_because_another_had_failed_is_not_the_reason() -> None:
    def share(team: Team) -> None:
        if team.is_first:
            time.sleep(0.2)
            raise ConnectionError("closed by peer")
        raise ValueError("the cause")

    with crew(2) as made, pytest.raises(RankFailed, match=r"^rank 1: ValueError: the cause\n"):
        made.do(share)


def test_ranks_that_stop_together_have_not_failed() -> None:
    def share(team: Team) -> None:
        if team.any(team.rank == 1):
            raise Interrupted

    with crew(2) as made:
        with pytest.raises(Interrupted):
            made.do(share)
        assert made.do(lambda team: team.all_gather(team.rank)) == [0, 1]


def test_memory_that_runs_out_at_another_rank_is_memory_that_ran_out() -> None:
    def share(batch: int) -> Callable[[Team], Any]:
        def draw(team: Team) -> list[int]:
            if team.rank == 1 and batch > 3:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return team.gather(batch)

        return draw

    notes: list[int] = []
    with crew(2) as made:
        assert with_less(12, lambda batch: made.do(share(batch)), notes.append) == [3, 3]
        with pytest.raises(RankRanOut, match=r"^rank 1: OutOfMemoryError: CUDA out of memory\n"):
            made.do(share(12))
    assert notes == [6, 3]


def test_a_rank_that_has_gone_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only for as long as whoever started it needs to end this one too."""
    monkeypatch.setattr(ranks, "PATIENCE", 0.01)
    here, there = Pipe()
    there.close()
    with pytest.raises(RankFailed, match=r"^rank 1: its process has ended$"), First([here]).running(Named("any")):
        raise AssertionError("it cannot begin")
