"""How are the axes of a trade-off scaled, and how are levels that nothing can beat drawn?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from mgbench.report.measures import briefly
from mgbench.report.style import LIGHT, letters, medium, panel

# From this ratio between its largest and smallest value on, an axis is logarithmic.
BIG_RATIO = 6.0
MANY = 1e5
LOGARITHMIC = "log"
# The lines keep at least this share of the height; a floor that would leave them less is shown at the edge.
LINES_SHARE = 0.3
# As much of it where there are many lines to tell apart.
MANY_LINES, MANY_SHARE = 6, 0.6


def scale_width(axes: Axes, values: pd.Series) -> None:
    """Log2, with a tick at each power of two where values are small counts and at 1, 2, 5, 10 … where they are not."""
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
    """The share of the height that the lines shown keep."""
    return MANY_SHARE if shown["series"].nunique() > MANY_LINES else LINES_SHARE


def scale_height(axes: Axes, values: pd.Series, floors: Sequence[float] = (), share: float = LINES_SHARE) -> None:
    """Logarithmic where the values, or they and a floor that is near, are positive and span a big ratio."""
    low, high = _span(values, floors, share)
    if low > 0 and high / low >= BIG_RATIO and values.min() > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(_plainly))


def limit_height(axes: Axes, shown: pd.DataFrame, floors: Sequence[float] = ()) -> None:
    """Show every mean, as much of the bands as does not push the lines together, and the floors that are near."""
    if shown.empty:
        return
    logarithmic = axes.get_yscale() == LOGARITHMIC
    to, back = (np.log, np.exp) if logarithmic else (_same, _same)
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
    # Only an interval reaches below 0 there, and nothing is to be seen.
    positive = shown["mean"].min() > 0 and not any(floor < 0 for floor in floors)
    axes.set_ylim(max(bottom, 0.0) if positive else bottom, float(back(high + margin)))


def draw_level(axes: Axes, level: float, said: str, *, right: bool = False, dots: bool = False) -> None:
    """A dashed or dotted line at a level, with what it is; at the edge, with an arrow, where it lies outside the axis."""
    low, high = axes.get_ylim()
    edge = min(max(level, low), high)
    arrow = " ↓" if level < low else " ↑" if level > high else ""
    to = np.log if axes.get_yscale() == LOGARITHMIC else _same
    upwards = to(edge) - to(low) < (to(high) - to(low)) / 2
    style = (0, (1, 2)) if dots else (0, (5, 3))
    width = 0.65 * medium().line
    axes.axhline(edge, color=LIGHT.quiet, linestyle=style, linewidth=width, zorder=1.5, gid="floor")
    axes.annotate(
        f"{said}: {briefly(level)}{arrow}", (1 if right else 0, edge), xycoords=("axes fraction", "data"),
        xytext=(-4 if right else 4, 3 if upwards else -3), textcoords="offset points",
        ha="right" if right else "left", va="bottom" if upwards else "top",
        fontsize=0.86 * medium().text, color=LIGHT.quiet, gid="floor",
    )  # fmt: skip


def draw_note(axes: Axes, text: str) -> None:
    """A remark at the upper right corner, outside."""
    axes.annotate(
        text, (1, 1), xycoords="axes fraction", xytext=(0, 3), textcoords="offset points",
        ha="right", va="bottom", fontsize=0.82 * medium().text, color=LIGHT.quiet, gid="note",
    )  # fmt: skip


def _span(values: pd.Series, floors: Sequence[float], share: float) -> tuple[float, float]:
    """The values' smallest and largest, and those floors that do not lie far from them."""
    low, high = float(values.min()), float(values.max())
    found = low, high
    for floor in floors:
        if floor > 0 and low > 0:
            wide_low, wide_high = min(found[0], floor), max(found[1], floor)
            if low == high or np.log(high / low) >= share * np.log(wide_high / wide_low):
                found = wide_low, wide_high
    return found


def _same(value: float) -> float:
    return value


def _plainly(value: float, _: int) -> str:
    """A number as it is, and of very many with a letter for the thousands: "20M"."""
    return EngFormatter(sep="").format_eng(value) if value >= MANY else f"{value:g}"
