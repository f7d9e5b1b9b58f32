"""A request to stop is noted, or interrupts at once where that is allowed."""

import pytest

from mgbench.interfaces.progress import Interrupted, Progress, StopRequest


def test_a_signal_is_noted_and_the_next_step_stops() -> None:
    request = StopRequest()
    progress = Progress(stop=lambda: request.asked, anywhere=request.anywhere)
    progress("train", 1, 2)
    request.signalled()
    with pytest.raises(Interrupted):
        progress("train", 2, 2)


def test_where_nothing_is_left_half_done_a_signal_interrupts_at_once() -> None:
    request = StopRequest()
    with request.anywhere(), pytest.raises(Interrupted):
        request.signalled()
    request.signalled()
    assert request.asked


def test_what_was_asked_before_interrupts_before_the_work_begins() -> None:
    request, reached = StopRequest(asked=True), []
    with pytest.raises(Interrupted), request.anywhere():
        reached.append("work")
    assert not reached


def test_allowances_nest() -> None:
    request = StopRequest()
    with request.anywhere():
        with request.anywhere():
            pass
        with pytest.raises(Interrupted):
            request.signalled()
