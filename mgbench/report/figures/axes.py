"""How are the axes of a trade-off scaled, and which of its points have room for a number?"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from mgbench.report.frame import POINT
from mgbench.report.style import ground

# From this ratio between its largest and smallest value on, an axis is logarithmic.
BIG_RATIO = 6.0
# The lines keep at least this share of the height; a floor that would leave them less is shown at the edge.
LINES_SHARE = 0.3
# How far a number keeps from other points and numbers, and from lines: across and up, in typographic points.
ROOM = np.array((13.0, 10.5))
CLEAR = np.array((7.0, 6.0))


def scale_width(axes: Axes, values: pd.Series) -> None:
    """Log2, with a tick at each power of two where values are counts and at 1, 2, 5, 10 … where they are not."""
    values = values[np.isfinite(values)]
    if values.empty or values.min() <= 0:
        return
    axes.set_xscale("log", base=2)
    whole = values.min() >= 1
    axes.xaxis.set_major_locator(LogLocator(base=2) if whole else LogLocator(base=10, subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(_plainly))
    axes.xaxis.set_minor_locator(NullLocator())
    low, high = float(values.min()) / 2**0.35, float(values.max()) * 2**0.35
    wider = max(1.0, BIG_RATIO / (high / low)) ** 0.5  # so that at least two ticks fall inside
    axes.set_xlim(low / wider, high * wider)


def scale_height(axes: Axes, values: pd.Series, floor: float | None) -> None:
    """Logarithmic where the values, or they and the floor, are positive and span a big ratio."""
    low, high = _span(values, floor)
    if low > 0 and high / low >= BIG_RATIO and values.min() > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(_plainly))


def limit_height(axes: Axes, shown: pd.DataFrame, floor: float | None) -> None:
    """Show every mean, as much of the bands as does not push the lines together, and the floor where it is near."""
    if shown.empty:
        return
    logarithmic = axes.get_yscale() == "log"
    to, back = (np.log, np.exp) if logarithmic else (_same, _same)
    low, high = to(shown["mean"].min()), to(shown["mean"].max())
    bands = shown[["low", "high"]].dropna()
    reach = max(0.35 * (high - low), 0.02 * abs(high), 1e-9)
    if logarithmic:
        bands = bands.clip(lower=float(np.exp(low - reach)))
    elif len(bands):
        reach = max(reach, 0.6 * float((bands["high"] - bands["low"]).median()))
    if len(bands):
        low, high = (
            max(min(low, to(bands["low"].min())), low - reach),
            min(max(high, to(bands["high"].max())), high + reach),
        )
    if floor is not None and (floor > 0 or not logarithmic):
        wide_low, wide_high = min(low, to(floor)), max(high, to(floor))
        if shown["mean"].nunique() == 1 or high - low >= LINES_SHARE * (wide_high - wide_low):
            low, high = wide_low, wide_high
    margin = max((high - low) * 0.07, 0.02 * abs(high), 1e-9)
    axes.set_ylim(float(back(low - margin)), float(back(high + margin)))


def label_points(axes: Axes, shown: pd.DataFrame, dark: bool) -> None:
    """Write the sampling steps beside the points that have room for it; call again once the layout is final."""
    for text in [text for text in axes.texts if text.get_gid() == "steps"]:
        text.remove()
    taken: list[np.ndarray] = []
    if shown.empty:
        return
    points = _on_paper(axes, shown[["cost", "mean"]].to_numpy(float))
    lines = [_on_paper(axes, line[["cost", "mean"]].to_numpy(float)) for _, line in shown.groupby("series", sort=False)]
    edges = axes.get_xlim()
    levels = [np.asarray(line.get_ydata(), float)[0] for line in axes.lines if line.get_gid() == "floor"]
    lines += [_on_paper(axes, np.array([(edge, level) for edge in edges], float)) for level in levels]
    pieces = np.concatenate([np.stack([line[:-1], line[1:]], axis=1) for line in lines])
    bottom, top = (side * 72 / axes.figure.dpi for side in (axes.bbox.y0, axes.bbox.y1))
    for place, (steps, cost, mean) in enumerate(shown[[POINT, "cost", "mean"]].itertuples(index=False)):
        others = np.array([*np.delete(points, place, axis=0), *taken])
        for shift in (np.array((0.0, 11.0)), np.array((0.0, -11.0))):
            spot = points[place] + shift
            if bottom + 4 < spot[1] < top - 4 and _has_room(spot, others, pieces):
                taken.append(spot)
                axes.annotate(
                    f"{steps:.0f}", (cost, mean), xytext=tuple(shift), textcoords="offset points", gid="steps",
                    ha="center", va="center", fontsize=8.5, color=ground(dark).quiet,
                )  # fmt: skip
                break


def _on_paper(axes: Axes, points: np.ndarray) -> np.ndarray:
    """Where points of the data lie on the figure, in typographic points."""
    placed: np.ndarray = axes.transData.transform(points) * 72 / axes.figure.dpi
    return placed


def _has_room(spot: np.ndarray, others: np.ndarray, pieces: np.ndarray) -> bool:
    """Whether a number at a spot keeps clear of the other points and numbers [n,2] and of pieces of lines [n,2,2]."""
    if len(others) and (np.abs(others - spot) < ROOM).all(axis=1).any():
        return False
    start, along = pieces[:, 0], pieces[:, 1] - pieces[:, 0]
    share = ((spot - start) * along).sum(axis=1) / np.maximum((along**2).sum(axis=1), 1e-9)
    nearest = start + np.clip(share, 0, 1)[:, None] * along
    return not (np.abs(nearest - spot) < CLEAR).all(axis=1).any()


def _span(values: pd.Series, floor: float | None) -> tuple[float, float]:
    """The values' smallest and largest, and the floor's unless it lies far from them."""
    low, high = float(values.min()), float(values.max())
    if floor is None or floor <= 0 or low <= 0:
        return low, high
    wide_low, wide_high = min(low, floor), max(high, floor)
    near = np.log(high / low) >= LINES_SHARE * np.log(wide_high / wide_low)
    return (wide_low, wide_high) if near or low == high else (low, high)


def _same(value: float) -> float:
    return value


def _plainly(value: float, _: int) -> str:
    return f"{value:g}"
