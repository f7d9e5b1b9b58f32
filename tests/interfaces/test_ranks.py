"""A team of one, with which everything runs that is written for several."""

import pytest
import torch

from mgbench.interfaces.engine import StageProgress
from mgbench.interfaces.progress import Interrupted, Progress
from mgbench.interfaces.ranks import ALONE, Team


def test_alone_every_exchange_gives_back_what_it_was_given() -> None:
    assert ALONE.is_first
    assert ALONE.gather("a") == ALONE.everyone("a") == ["a"]
    assert ALONE.share("a") == "a"
    assert ALONE.total(0.1) == ALONE.mean(0.1) == 0.1
    assert [ALONE.agree(flag) for flag in (False, True)] == [False, True]
    assert torch.arange(7)[ALONE.share_of(7)].tolist() == list(range(7))


@pytest.mark.parametrize(("batch", "size"), [(6, 1), (6, 2), (6, 3), (64, 8)])
def test_every_row_of_a_batch_is_one_rank_s_and_all_have_as_many(batch: int, size: int) -> None:
    shares = [list(range(batch))[Team(rank, size).share_of(batch)] for rank in range(size)]
    assert [row for share in shares for row in share] == list(range(batch))
    assert {len(share) for share in shares} == {batch // size}


def test_a_batch_without_equal_shares_is_refused() -> None:
    with pytest.raises(ValueError, match="a batch of 7 cannot be shared equally among 2 devices"):
        Team(0, 2).share_of(7)


@pytest.mark.parametrize("asked", [False, True])
def test_a_stage_of_a_team_stops_when_any_rank_was_asked_to(asked: bool) -> None:
    class Other(Team):
        """The second of two ranks, of whom it says what it was asked."""

        def everyone(self, value: bool) -> list[bool]:  # type: ignore[override]
            return [value, asked]

    reported: list[object] = []
    progress = Progress(reported.append).of(Other(0, 2))
    if asked:
        with pytest.raises(Interrupted):
            progress("train", 1, 2)
    else:
        progress("train", 1, 2)
    assert reported == [StageProgress("train", 1, 2)]
