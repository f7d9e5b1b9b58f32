"""What the benchmark of a row's time replaces is there; it is of no use where a part of a row has got another name."""

from contextlib import ExitStack

from benchmarks import row_share
from mgbench.trials import score, trial


def test_what_is_timed_is_part_of_a_trial() -> None:
    before = trial.draw, trial.score, score.reference_of
    with ExitStack() as entered:
        for each in row_share.patches():
            entered.enter_context(each)
        assert all(
            now is not then for now, then in zip((trial.draw, trial.score, score.reference_of), before, strict=True)
        )
        assert trial._WORK["images"][1].__name__ == "call"
    assert (trial.draw, trial.score, score.reference_of) == before


def test_seconds_are_added_by_name() -> None:
    row_share.SPENT.clear()
    assert row_share.timed("work", lambda x: x + 1)(2) == 3
    assert set(row_share.SPENT) == {"work"}
