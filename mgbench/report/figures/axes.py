"""Axis scales of trade-off figures, and horizontal reference levels."""

import itertools
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation, Text
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from mgbench.report.measures import briefly
from mgbench.report.style import LIGHT, letters, medium, panel

# Ratio between largest and smallest value from which an axis is logarithmic.
BIG_RATIO = 6.0
# The same ratio for an axis with values of 0 or less, which becomes symmetric-logarithmic.
VERY_BIG_RATIO = 30.0
MANY = 1e5
# The height of a line in sizes of its text, the text of levels in that of the figure, and their distance in points.
LINE, LEVEL_TEXT, GAP = 1.2, 0.86, 2.0
LOGARITHMIC = "log"
# Minimum share of the height for the lines; floors that would leave less are shown at the edge.
LINES_SHARE = 0.5
# The same share for many lines.
MANY_LINES, MANY_SHARE = 6, 0.6


def scale_width(axes: Axes, values: pd.Series) -> None:
    """A log2 axis with ticks at powers of two for small counts, and at 1, 2, 5, 10 … otherwise."""
    values = values[np.isfinite(values)]
    if values.empty or values.min() <= 0:
        return
    axes.set_xscale("log", base=2)
    whole = values.min() >= 1 and values.max() < MANY
    # Three numbers a decade where they do not run into each other.
    room = letters(0.4 * panel()[0])
    subs = (1.0, 2.0, 5.0) if 3 * 4 * np.log10(float(values.max() / values.min())) <= room else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(base=2) if whole else LogLocator(base=10, subs=subs))
    axes.xaxis.set_major_formatter(FuncFormatter(_plainly))
    axes.xaxis.set_minor_locator(NullLocator())
    low, high = float(values.min()) / 2**0.35, float(values.max()) * 2**0.35
    wider = max(1.0, BIG_RATIO / (high / low)) ** 0.5  # so that at least two ticks fall inside
    axes.set_xlim(low / wider, high * wider)


def lines_share(shown: pd.DataFrame) -> float:
    """The minimum share of the height for these lines."""
    return MANY_SHARE if shown["series"].nunique() > MANY_LINES else LINES_SHARE


def scale_height(axes: Axes, values: pd.Series, floors: Sequence[float] = (), share: float = LINES_SHARE) -> None:
    """A logarithmic axis if the values, with nearby floors, are positive and span a large ratio.

    With values of 0 or less it is linear or, if the positive values span a very large ratio, symmetric-logarithmic.
    """
    low, high = _span(values, floors, share)
    least = min([float(values.min()), *floors])
    linear = max(-least, float(values[values > 0].min())) if (values > 0).any() else np.inf
    if least > 0 and high / low >= BIG_RATIO:
        axes.set_yscale(LOGARITHMIC)
        axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    elif least <= 0 and high / linear >= VERY_BIG_RATIO:
        # A power of ten, because the ticks are.
        axes.set_yscale("symlog", linthresh=10 ** np.ceil(np.log10(linear)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(_plainly))


def limit_height(axes: Axes, shown: pd.DataFrame, floors: Sequence[float] = ()) -> None:
    """Set limits that show every mean and nearby floors, and bands only as far as lines stay readable."""
    if shown.empty:
        return
    logarithmic, (to, back) = axes.get_yscale() == LOGARITHMIC, _along(axes)
    low, high = to(shown["mean"].min()), to(shown["mean"].max())
    bands = shown[["low", "high"]].dropna()
    reach = max(0.35 * (high - low), 0.02 * abs(high), 1e-9)
    if logarithmic:
        bands = bands.clip(lower=float(np.exp(low - reach)))
    elif len(bands):
        reach = max(reach, min(0.6 * float((bands["high"] - bands["low"]).median()), high - low))
    if len(bands):
        low, high = (
            max(min(low, to(bands["low"].min())), low - reach),
            min(max(high, to(bands["high"].max())), high + reach),
        )
    inner, share = high - low, lines_share(shown)
    for level in (to(floor) for floor in floors if floor > 0 or not logarithmic):
        wide_low, wide_high = min(low, level), max(high, level)
        if shown["mean"].nunique() == 1 or inner >= share * (wide_high - wide_low):
            low, high = wide_low, wide_high
    margin = max((high - low) * 0.07, 0.02 * abs(high), 1e-9)
    bottom = float(back(low - margin))
    # Only intervals reach below 0 here.
    positive = shown["mean"].min() > 0 and not any(floor < 0 for floor in floors)
    axes.set_ylim(max(bottom, 0.0) if positive else bottom, float(back(high + margin)))


def on_paper(axes: Axes, points: np.ndarray) -> np.ndarray:
    """Positions of points [n,2] of the data on the page, in typographic points."""
    placed: np.ndarray = axes.transData.transform(points) * 72 / axes.figure.dpi
    return placed


def draw_level(axes: Axes, level: float, said: str, *, right: bool = False, dots: bool = False) -> None:
    """Draw a labelled dashed or dotted line at a level; outside the axis, a label at the edge with an arrow."""
    low, high = axes.get_ylim()
    edge = min(max(level, low), high)
    arrow = " ↓" if level < low else " ↑" if level > high else ""
    upwards = axes.transAxes.inverted().transform(axes.transData.transform((1, edge)))[1] < 0.5
    style = (0, (1, 2)) if dots else (0, (5, 3))
    width = 0.65 * medium().line
    axes.axhline(edge, color=LIGHT.quiet, linestyle=style, linewidth=width, zorder=1.5, gid="floor")
    axes.annotate(
        f"{said}: {briefly(level)}{arrow}", (1 if right else 0, edge), xycoords=("axes fraction", "data"),
        xytext=(-4 if right else 4, GAP if upwards else -GAP), textcoords="offset points",
        ha="right" if right else "left", va="bottom" if upwards else "top",
        fontsize=LEVEL_TEXT * medium().text, color=LIGHT.quiet, gid="floor",
    )  # fmt: skip


def separate_levels(axes: Axes) -> None:
    """Stack the labels of nearby levels above or below their lines; call after the layout."""
    names = [text for text in axes.texts if text.get_gid() == "floor" and isinstance(text, Annotation)]
    points, size = 72 / axes.figure.dpi, LINE * LEVEL_TEXT * medium().text
    middle = (axes.bbox.y0 + axes.bbox.y1) / 2 * points
    placed = [(float(axes.transData.transform((1, name.xy[1]))[1]) * points, name) for name in names]
    apart = sum(_widest(names, side) for side in (0, 1)) < axes.bbox.width
    for sign in (1, -1):
        half = [(sign * place, name) for place, name in placed if (place < middle) == (sign > 0)]
        for group in _stacks(sorted(half, key=itemgetter(0)), size):
            turns = {side: itertools.count() for side in (0, 1)}
            for place, name in group:
                # Names at the left and at the right stand in one line where there is room for both.
                turn = next(turns[int(name.xy[0]) if apart else 0])
                name.set_verticalalignment("bottom" if sign > 0 else "top")
                name.xyann = (name.xyann[0], sign * (group[-1][0] - place + GAP + turn * size))


def _widest(names: list[Annotation], side: int) -> float:
    return max((Text.get_window_extent(name).width for name in names if name.xy[0] == side), default=0.0)


def _stacks(levels: list[tuple[float, Annotation]], size: float) -> list[list[tuple[float, Annotation]]]:
    """Group rising levels so that the names of a group, stacked on its last line, end before the next group begins."""
    groups: list[list[tuple[float, Annotation]]] = []
    for level in levels:
        groups.append([level])
        while len(groups) > 1 and groups[-2][-1][0] + GAP + len(groups[-2]) * size > groups[-1][0][0]:
            last = groups.pop()
            groups[-1] += last
    return groups


def halo(axes: Axes) -> list[withStroke]:
    """An outline in the colour of the ground, so that text stays readable where it crosses a band or a grid."""
    return [withStroke(linewidth=0.22 * medium().text, foreground=axes.get_facecolor())]


def draw_note(axes: Axes, text: str) -> None:
    """Draw a remark outside the upper right corner."""
    axes.annotate(
        text, (1, 1), xycoords="axes fraction", xytext=(0, 3), textcoords="offset points",
        ha="right", va="bottom", fontsize=0.82 * medium().text, color=LIGHT.quiet, gid="note",
    )  # fmt: skip


def _span(values: pd.Series, floors: Sequence[float], share: float) -> tuple[float, float]:
    """The smallest and the largest of the values and of the floors near them."""
    low, high = float(values.min()), float(values.max())
    found = low, high
    for floor in floors:
        if floor > 0 and low > 0:
            wide_low, wide_high = min(found[0], floor), max(found[1], floor)
            if low == high or np.log(high / low) >= share * np.log(wide_high / wide_low):
                found = wide_low, wide_high
    return found


def _along(axes: Axes) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Functions from a value to its position along the height, in arbitrary units, and back."""
    if axes.get_yscale() == LOGARITHMIC:
        return np.log, np.exp
    scale = axes.yaxis.get_transform()
    return scale.transform, scale.inverted().transform


def _plainly(value: float, _: int) -> str:
    """A number as text; large ones with a letter for the thousands: "20M"."""
    return EngFormatter(sep="").format_eng(value) if value >= MANY else f"{value:g}"
