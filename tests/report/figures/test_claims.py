"""The figure of claims: every effect at its place, in the look of its verdict, on an axis of plain per cents."""

import itertools

import numpy as np
import pytest
from matplotlib.axes import Axes

from mgbench.recipes.claims import Claim
from mgbench.report import claim_effects
from mgbench.report.figures.claims import LOOKS, figure_of
from mgbench.report.judging import Finding, Verdict

CLAIM = Claim("weighting", "One beats the other.", "method=a", "method=b", at=("sampling_steps=4", "sampling_steps=8"))
WITHIN = Claim("enough", "One is enough.", "method=a", "method=c", margin=0.05)


def verdict(effect: float, finding: Finding, claim: Claim = CLAIM, at: str = "sampling_steps=4", **more) -> Verdict:
    limits = {"low": effect - 0.1, "high": effect + 0.1, "seeds": 5, "planned": 5, **more}
    return Verdict(claim, at, "fid", finding, effect, **limits)


SHOWN = [
    verdict(-0.4, "reproduced"),
    verdict(0.02, "undecided", at="sampling_steps=8", seeds=4),
    verdict(0.3, "reversed", WITHIN, "", bound=float(np.log1p(0.05))),
]


@pytest.fixture
def axes() -> Axes:
    return claim_effects([*SHOWN, verdict(5.0, "reproduced", relative=False), verdict(np.nan, "undecided")])


def marked(axes: Axes, gid: str):
    return [line for line in axes.lines if line.get_gid() == gid]


def test_every_effect_has_its_place_interval_and_look(axes: Axes) -> None:
    effects = marked(axes, "effect")
    assert [float(line.get_xdata()[0]) for line in effects] == [-0.4, 0.02, 0.3]
    assert [line.get_color() for line in effects] == [LOOKS[one.finding][0] for one in SHOWN]
    assert [line.get_marker() for line in effects] == [LOOKS[one.finding][1] for one in SHOWN]
    assert [list(line.get_xdata()) for line in marked(axes, "interval")] == [[one.low, one.high] for one in SHOWN]
    assert [text.get_text() for text in axes.texts if text.get_gid() == "seeds"] == ["5", "4", "5"]


def test_claims_are_named_once_and_conditions_of_steps_in_short(axes: Axes) -> None:
    assert [text.get_text() for text in axes.texts if text.get_gid() == "claim"] == ["weighting", "enough"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["4 steps", "8 steps", "all rows"]


def test_a_margin_is_marked_where_it_lies(axes: Axes) -> None:
    (margin,) = marked(axes, "margin")
    assert list(margin.get_xdata()) == pytest.approx([np.log(1.05)] * 2)


@pytest.mark.parametrize("size", [0.03, 0.3, 3.0])
def test_ticks_are_plain_per_cents_around_zero_that_do_not_run_into_each_other(size: float) -> None:
    figure = figure_of([verdict(-size, "reproduced"), verdict(size, "reversed", at="sampling_steps=8")])
    figure.draw_without_rendering()
    labels = figure.axes[0].get_xticklabels()
    assert "0" in [label.get_text() for label in labels]
    boxes = sorted((label.get_window_extent().x0, label.get_window_extent().x1) for label in labels)
    assert len(boxes) >= 3
    assert all(one[1] < other[0] for one, other in itertools.pairwise(boxes))
