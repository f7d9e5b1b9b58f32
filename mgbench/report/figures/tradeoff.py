"""Trade-off of quality and cost: a score against a cost, a line and a band per series, and the Pareto front."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mgbench.report.figures.axes import draw_level, draw_note, limit_height, lines_share, scale_height, scale_width
from mgbench.report.figures.hover import set_hover_texts
from mgbench.report.figures.labels import below, fits_beside, fix_legend, label_lines, lay_out
from mgbench.report.figures.notebook import NotebookFigure
from mgbench.report.figures.points import FIRST, Lines, Tradeoff, panels
from mgbench.report.frame import ABOUT, TOKENIZER
from mgbench.report.measures import cost_axis, cost_short, number, score_axis, score_name, with_interval
from mgbench.report.names import short_names
from mgbench.report.style import (
    LIGHT,
    MOST_LONG,
    Look,
    axis_label,
    legend_label,
    lines,
    looks,
    medium,
    panel,
    theme,
)
from mgbench.report.summary import comparable, floor_of, pareto, reconstruction_floors
from mgbench.results.wording import counted

# Maximum number of faint series; of more, a spread selection is drawn.
MOST_FAINT = 100
# Maximum number of panels.
MOST_PANELS = 9
# Number of tokenizers above which only the best and the worst are drawn.
MOST_REBUILT = 3


def draw_lines(axes: Axes, found: Lines, asked: Tradeoff, styles: Mapping[str, Look], floors: pd.DataFrame) -> None:
    """Draw lines, intervals, front and floors (of the rows in `floors`), with their axes, but neither names nor a legend."""
    _draw_rest(axes, found.rest)
    _draw_front(axes, found.front)
    _mark_ambiguous(axes, found.unsure)
    for place, (name, line) in enumerate(found.shown.groupby("series", sort=False)):
        drawn = draw_line(axes, line, styles[str(name)])
        set_hover_texts(drawn, place, [_said(row, asked, found.rows) for row in _along(line).to_dict("records")])
    scale_width(axes, found.summary["cost"])
    _draw_floors(axes, floors, asked.metric, found.rows, found.shown)
    axes.set_xlabel(cost_axis(asked.cost))
    axes.set_ylabel(axis_label(score_axis(found.rows, asked.metric), 0.95 * panel()[1]))


def metric_versus(
    frame: pd.DataFrame,
    metric: str,
    cost: str = FIRST,
    ax: Axes | None = None,
    *,
    styles: Mapping[str, Look] | None = None,
    allow_mismatch: bool = False,
) -> Axes:
    """Draw a score against a cost: a line per series, its 95 % interval over seeds, the Pareto front, and the floors.

    The floors are what real images score, as they are and once the tokenizer has encoded and decoded them. The numbers
    beside points are the sampling steps taken. Of many series the best are drawn in colour, the others faintly. A cost
    that is one number per series (of training) shows each series at its best. Give `styles` (of `looks`) to have the
    same colours in several figures.

    Raises:
        UserError: if there is no such score or cost, or the rows are not comparable.
    """
    asked = Tradeoff(metric, cost, allow_mismatch)
    found = asked.of(frame)
    styles = {**looks(frame), **looks(found.rows), **(styles or {})}
    if ax is None:
        return Panels(frame, found.rows, asked, [("", found)]).draw(styles).axes[0]
    with theme(bare=True):
        draw_lines(ax, found, asked, styles, frame)
        if len(found.shown):
            short = short_names(found.shown["series"].unique())
            handles = [styles[name].handle() for name in short]
            ax.legend(handles, [legend_label(name) for name in short.values()])
        fix_legend(ax, found.shown)
        label_lines(ax, found.shown, styles, found.front, names=False)
    return ax


def metric_panels(
    frame: pd.DataFrame,
    metric: str,
    cost: str = FIRST,
    *,
    by: str = "",
    styles: Mapping[str, Look] | None = None,
    allow_mismatch: bool = False,
) -> Figure:
    """A whole figure of a score against a cost; a panel per value of `by`, or for methods with and without labels.

    Short names stand at the ends of their lines, long ones in a legend below.
    """
    asked = Tradeoff(metric, cost, allow_mismatch)
    return Panels.of(frame, asked, by).draw(styles)


@dataclass(frozen=True)
class Panels:
    """A trade-off in panels: all rows (`frame`, those of tokenizers among them), those drawn, and title and lines of each."""

    frame: pd.DataFrame
    rows: pd.DataFrame
    asked: Tradeoff
    parts: list[tuple[str, Lines]]

    @classmethod
    def of(cls, frame: pd.DataFrame, asked: Tradeoff, by: str = "") -> "Panels":
        """Summarise the rows of every panel."""
        rows = comparable(frame, asked.metric, asked.allow_mismatch)
        divided = panels(rows, by)[:MOST_PANELS]
        rows = pd.concat([part for _, part in divided]) if by and divided else rows
        parts = [(title, asked.of(part)) for title, part in divided]
        if not fits_beside(_names(found.shown for _, found in parts)):
            parts = [(title, replace(found, most=MOST_LONG)) for title, found in parts]
        return cls(frame, rows, asked, parts)

    def draw(self, styles: Mapping[str, Look] | None = None) -> Figure:
        """Draw the whole figure."""
        shown = [found.shown for _, found in self.parts]
        styles, beside = {**looks(self.rows), **(styles or {})}, fits_beside(_names(shown))
        with theme():
            height = sum(_height(part, beside) for part in shown) or panel()[1]
            figure = NotebookFigure(figsize=(panel()[0], height), layout="constrained")
            grid = figure.subplots(max(len(self.parts), 1), squeeze=False, sharex=len(self.parts) > 1)
            for axes, (title, found) in zip(np.ravel(grid), self.parts, strict=False):
                draw_lines(axes, found, self.asked, styles, _with_tokenizers(found.rows, self.frame))
                axes.set_title(title)
            if not beside:
                below(figure, _names(shown), styles)
            _finish(figure, [found for _, found in self.parts], styles, beside)
        return figure


def _finish(figure: Figure, found: list[Lines], styles: Mapping[str, Look], beside: bool) -> None:
    """Give all panels one width, fix the layout, and write names and settings where there is room."""
    for axes in figure.axes:
        scale_width(axes, pd.concat([part.shown for part in found])["cost"])
        axes.label_outer()
    figure.align_ylabels()
    # Names need the line ends, and the layout needs the lengths of names; after that it is final.
    for _ in range(2 if beside else 1):
        lay_out(figure)
        for axes, part in zip(figure.axes, found, strict=False):
            label_lines(axes, part.shown, styles, pareto(part.shown, part.higher), names=beside)
    figure.set_layout_engine(None)


def _names(shown: Iterable[pd.DataFrame]) -> list[str]:
    return list(dict.fromkeys(str(name) for found in shown for name in found["series"]))


def _height(shown: pd.DataFrame, beside: bool) -> float:
    """A panel's height in inches: more where many names stand beside it."""
    return max(panel()[1], lines(shown["series"].nunique() * 0.8 + 4) if beside else 0)


def _said(point: Mapping[Any, Any], asked: Tradeoff, rows: pd.DataFrame) -> str:
    """The hover text of a point: its series, the steps taken, both values and the seeds."""
    score = with_interval(point["mean"], point["low"], point["high"])
    seeds = counted(point["count"], "seed")
    where = f"{point['taken']:.0f} step{'s' if point['taken'] > 1 else ''}, {cost_short(asked.cost)} {number(point['cost'])}"
    return f"{point['series']}: {score_name(rows, asked.metric)} {score}; {where}; {seeds}"


def _along(line: pd.DataFrame) -> pd.DataFrame:
    """The points sorted by cost, because more steps may cost less."""
    return line.sort_values("cost", kind="stable")


def draw_line(axes: Axes, line: pd.DataFrame, look: Look) -> Line2D:
    """Draw a series' `mean` over its `cost`, with its interval as a band; a single point with a bar."""
    alone = len(line) == 1
    line = _along(line)
    drawn = axes.plot(line["cost"], line["mean"], color=look.colour, linewidth=medium().line, zorder=3, **look.marks())[
        0
    ]
    if look.dashes:
        drawn.set_dashes(look.dashes)
    band = line.dropna(subset=["low", "high"])
    if alone:
        drawn.set_markersize(1.5 * medium().marker)
        axes.vlines(band["cost"], band["low"], band["high"], color=look.colour, linewidth=medium().line * 0.7, zorder=2)
    elif len(band):
        axes.fill_between(band["cost"], band["low"], band["high"], color=look.colour, alpha=0.14, linewidth=0, zorder=1)
    return drawn


def _draw_rest(axes: Axes, rest: pd.DataFrame) -> None:
    if rest.empty:
        return
    places, names = pd.factorize(rest["series"])
    picked = np.unique(np.linspace(0, len(names) - 1, MOST_FAINT).astype(int))
    points = rest[["cost", "mean"]].to_numpy(float)
    faint = [points[places == place] for place in picked]
    axes.add_collection(LineCollection(faint, colors=LIGHT.quiet, alpha=0.18, linewidths=0.8, zorder=0.5, gid="rest"))
    of_them = f"{len(picked)} of " if len(picked) < len(names) else ""
    draw_note(axes, f"faint: {of_them}{len(names):,} more series")


def _draw_front(axes: Axes, front: pd.DataFrame) -> None:
    """Draw a pale step line under the Pareto front; nothing if a single point beats all."""
    if len(front) > 1:
        axes.step(
            front["cost"], front["mean"], where="post", color=LIGHT.quiet, alpha=0.22,
            linewidth=2.4 * medium().line, solid_capstyle="round", solid_joinstyle="round", zorder=0.8, gid="pareto",
        )  # fmt: skip


def _mark_ambiguous(axes: Axes, points: pd.DataFrame) -> None:
    if len(points):
        size = (2.1 * medium().marker) ** 2
        axes.scatter(
            points["cost"], points["mean"], s=size, facecolors="none", edgecolors=LIGHT.quiet, linestyles=":",
            linewidths=0.6 * medium().line, zorder=2.5, gid="ambiguous",
        )  # fmt: skip


def _draw_floors(axes: Axes, frame: pd.DataFrame, metric: str, rows: pd.DataFrame, shown: pd.DataFrame) -> None:
    real, rebuilt = floor_of(frame, metric), reconstruction_floors(frame, metric, rows)
    floors = [level for level in (real, *rebuilt.values()) if level is not None]
    scale_height(axes, shown["mean"], floors, lines_share(shown))
    limit_height(axes, shown, floors)
    lossless = [name for name, level in rebuilt.items() if real is not None and np.isclose(level, real, rtol=5e-3)]
    rebuilt = {name: level for name, level in rebuilt.items() if name not in lossless}
    if real is not None:
        also = f", also after {', '.join(legend_label(name, 24, 1) for name in lossless[:2])}" if lossless else ""
        draw_level(axes, real, f"real images{also}", right=not rebuilt and _crowded_left(axes, shown, real))
    if len(rebuilt) > MOST_REBUILT:
        least, most = min(rebuilt.values()), max(rebuilt.values())
        rebuilt = {f"the best of {len(rebuilt)} tokenizers": least, "the worst of them": most}
    for name, level in rebuilt.items():
        draw_level(axes, level, f"after {legend_label(name, 40, 1)}", right=True, dots=True)


def _crowded_left(axes: Axes, shown: pd.DataFrame, level: float) -> bool:
    """Whether points near a level leave more room for its name at the right than at the left."""
    corners = shown[["cost", "mean"]].to_numpy(float)
    places = axes.transAxes.inverted().transform(axes.transData.transform(corners))
    height = axes.transAxes.inverted().transform(axes.transData.transform((corners[0, 0], level)))[1]
    near = places[np.abs(places[:, 1] - height) < 0.12, 0]
    return bool((near < 0.4).sum() > (near > 0.6).sum())


def _with_tokenizers(part: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Some rows of a frame with those of its tokenizers, whose scores are drawn as floors."""
    fitted = frame[frame[ABOUT] == TOKENIZER]
    return pd.concat([part, fitted]) if len(fitted) else part
