"""Verdicts on the claims of a study: the effect of each with its interval, coloured by verdict."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from mgbench.report.claims import at_said, effect_said
from mgbench.report.figures.axes import draw_note, halo
from mgbench.report.figures.notebook import NotebookFigure, drawn_on
from mgbench.report.figures.picture import Picture
from mgbench.report.judging import FINDINGS, Finding, Verdict
from mgbench.report.stored import Stored
from mgbench.report.style import COLOURS, LIGHT, legend_label, lines, medium, panel, theme

SECTION = "Claims"
NAME_WIDTH = 34
# Shape and filling tell the verdicts apart where colours do not.
LOOKS: dict[Finding, tuple[str, str, bool]] = {
    "reproduced": (COLOURS[2][0], "o", True),
    "reversed": (COLOURS[1][0], "s", True),
    "undecided": (LIGHT.quiet, "D", False),
}
# Ratios at which the axis may have a tick, in per cent of change.
TICKS = (-95, -90, -80, -67, -50, -33, -20, -10, -5, 0, 5, 10, 25, 50, 100, 200, 400, 900, 1900)
# The least distance of ticks as a share of the width.
TICK_GAP = 0.13


def pictures(stored: Stored) -> Iterator[Picture]:
    """The effects of the claims, if any has one."""
    shown = drawable(stored.verdicts)
    if shown:
        yield Picture(
            SECTION,
            "claims",
            "Effects of the claims",
            _caption(stored.verdicts),
            alt_of(shown),
            partial(figure_of, shown),
        )


def drawable(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts with an effect in per cent, which one axis can hold."""
    return [verdict for verdict in verdicts if verdict.relative and np.isfinite(verdict.effect)]


def claim_effects(verdicts: Sequence[Verdict], ax: Axes | None = None) -> Axes:
    """Draw the effect of every verdict with its interval and number of seeds; left speaks for the claim."""
    shown = drawable(verdicts)
    with drawn_on(ax, lambda: _size(shown)) as axes:
        _draw_all(axes, shown)
    return axes


def figure_of(shown: Sequence[Verdict]) -> Figure:
    """The complete figure."""
    with theme():
        figure = NotebookFigure(figsize=_size(shown), layout="constrained")
        _draw_all(figure.subplots(), shown)
    return figure


def _heights(shown: Sequence[Verdict]) -> list[float]:
    """Heights in lines from the top down, with a line for the name above the conditions of every claim."""
    found, at = [], 0.0
    for place, verdict in enumerate(shown):
        at -= 1.35 + (1.45 if not place or shown[place - 1].claim != verdict.claim else 0.0)
        found.append(at)
    return found


def _size(shown: Sequence[Verdict]) -> tuple[float, float]:
    return panel()[0], lines(-min(_heights(shown), default=0.0) + 4.5)


def _draw_all(axes: Axes, shown: Sequence[Verdict]) -> None:
    heights = _heights(shown)
    axes.axvline(0, color=LIGHT.quiet, linewidth=0.8, zorder=1)
    for height, verdict in zip(heights, shown, strict=True):
        _draw(axes, height, verdict)
    _name(axes, shown, heights)
    _scale(axes, shown)
    axes.set_xlabel("Change of the score (left of 0 speaks for the claim)")
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    draw_note(axes, "seeds")
    found = {verdict.finding for verdict in shown}
    axes.legend(
        handles=[_handle(finding) for finding in FINDINGS if finding in found],
        loc="lower left", bbox_to_anchor=(0, 1), ncols=len(FINDINGS), borderaxespad=0.1, handletextpad=0.1, columnspacing=1,
    )  # fmt: skip


def _handle(finding: Finding) -> Line2D:
    return Line2D([], [], linestyle="", label=finding, **_marks(finding))


def _marks(finding: Finding) -> dict[str, Any]:
    colour, marker, filled = LOOKS[finding]
    face = colour if filled else LIGHT.paper
    size, edge = 1.15 * medium().marker, 0.7 * medium().line
    return {
        "color": colour, "marker": marker, "markerfacecolor": face, "markersize": size, "markeredgewidth": edge, "zorder": 3,
    }  # fmt: skip


def _draw(axes: Axes, height: float, verdict: Verdict) -> None:
    colour = LOOKS[verdict.finding][0]
    if verdict.bound > 0:
        axes.plot(
            [verdict.bound] * 2, [height - 0.5, height + 0.5], color=LIGHT.quiet, linewidth=0.6 * medium().line,
            linestyle=(0, (2, 1)), gid="margin",
        )  # fmt: skip
    if np.isfinite(verdict.low):
        bar: dict[str, Any] = {"color": colour, "linewidth": medium().line, "solid_capstyle": "butt", "gid": "interval"}
        axes.plot([verdict.low, verdict.high], [height, height], **bar)
    axes.plot([verdict.effect], [height], linestyle="", gid="effect", **_marks(verdict.finding))
    axes.annotate(
        str(verdict.seeds), (1, height), xycoords=("axes fraction", "data"), va="center", ha="right",
        fontsize=0.82 * medium().text, color=LIGHT.quiet, gid="seeds",
    )  # fmt: skip


def _name(axes: Axes, shown: Sequence[Verdict], heights: Sequence[float]) -> None:
    axes.set_yticks(heights, [legend_label(at_said(verdict), NAME_WIDTH, 1) for verdict in shown])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(min(heights) - 1.0, -0.6)
    for place, verdict in enumerate(shown):
        if not place or shown[place - 1].claim != verdict.claim:
            axes.annotate(
                verdict.claim.name, (0, heights[place] + 1.2), xycoords=("axes fraction", "data"), va="center", ha="left",
                xytext=(3, 0), textcoords="offset points", fontweight="bold", fontsize=0.95 * medium().text,
                color=LIGHT.ink, gid="claim", path_effects=halo(axes),
            )  # fmt: skip


def _scale(axes: Axes, shown: Sequence[Verdict]) -> None:
    """Limits around all intervals, and ticks at plain per cents: the axis is in logarithms of the ratio."""
    values = [0.0] + [value for one in shown for value in (one.effect, one.low, one.high) if np.isfinite(value)]
    low, high = min(values), max(values)
    margin = max(0.08 * (high - low), 0.01)
    # Room at the right for the numbers of seeds.
    axes.set_xlim(low - margin, high + 2.2 * margin)
    least = TICK_GAP * (high - low + 3.2 * margin)
    inside: list[float] = []
    # From 0 outwards, as many as do not run into each other.
    for tick in sorted(np.log1p(np.array(TICKS) / 100), key=abs):
        if low - margin <= tick <= high + margin and all(abs(tick - other) >= least for other in inside):
            inside.append(float(tick))
    axes.xaxis.set_major_locator(FixedLocator(inside))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(_per_cent))


def _per_cent(value: float, _: int) -> str:
    share = round(100 * np.expm1(value))
    return "0" if not share else f"{'−' if share < 0 else '+'}{abs(share)} %"


def _caption(verdicts: Sequence[Verdict]) -> str:
    left = [verdict.claim.name for verdict in verdicts if not verdict.relative]
    others = f" Not shown, because their scores have no ratio: {', '.join(dict.fromkeys(left))}." if left else ""
    margins = " A dashed mark is the margin of a claim." if any(verdict.bound > 0 for verdict in verdicts) else ""
    return f"Mean over seeds of the logarithm of the ratio, with its 95 % interval (Student's t).{margins}{others}"


def alt_of(shown: Sequence[Verdict]) -> str:
    """The verdicts with their effects in words, for those who do not see the figure."""
    said = [
        f"{one.claim.name}{f' at {at_said(one)}' if one.at else ''}: {one.finding}, {effect_said(one)}" for one in shown
    ]
    return f"Effects of claims. {'; '.join(said[:20])}."
