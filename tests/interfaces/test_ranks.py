"""The single-process team, and progress of a team."""

import pytest
import torch

from mgbench.interfaces.engine import StageProgress
from mgbench.interfaces.progress import Interrupted, Progress
from mgbench.interfaces.ranks import ALONE, Team


def test_every_collective_of_a_single_process_returns_its_input() -> None:
    assert ALONE.is_first
    assert ALONE.gather("a") == ALONE.all_gather("a") == ["a"]
    assert ALONE.broadcast("a") == "a"
    assert ALONE.sum(0.1) == ALONE.mean(0.1) == 0.1
    assert [ALONE.any(flag) for flag in (False, True)] == [False, True]
    assert torch.arange(7)[ALONE.shard(7)].tolist() == list(range(7))


@pytest.mark.parametrize(("batch", "size"), [(6, 1), (6, 2), (6, 3), (64, 8)])
def test_shards_are_equal_and_cover_the_batch(batch: int, size: int) -> None:
    shares = [list(range(batch))[Team(rank, size).shard(batch)] for rank in range(size)]
    assert [row for share in shares for row in share] == list(range(batch))
    assert {len(share) for share in shares} == {batch // size}


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="a batch of 7 cannot be divided equally among 2 devices"):
        Team(0, 2).shard(7)


@pytest.mark.parametrize("asked", [False, True])
def test_a_stage_of_a_team_stops_when_any_rank_was_asked_to(asked: bool) -> None:
    class Other(Team):
        """The second of two ranks, of whom it says what it was asked."""

        def all_gather(self, value: bool) -> list[bool]:  # type: ignore[override]
            return [value, asked]

    reported: list[object] = []
    progress = Progress(reported.append).of(Other(0, 2))
    if asked:
        with pytest.raises(Interrupted):
            progress("train", 1, 2)
    else:
        progress("train", 1, 2)
    assert reported == [StageProgress("train", 1, 2)]
