"""Trade-off of quality and cost: a score against a cost, a line and a band per series, and the Pareto front."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from mgbench.recipes.kinds import KINDS
from mgbench.report.figures.axes import draw_level, draw_note, limit_height, lines_share, scale_height, scale_width
from mgbench.report.figures.labels import below, fits_beside, label_lines, lay_out
from mgbench.report.frame import ABOUT, POINT, TOKENIZER, name_series, spell
from mgbench.report.measures import cost_axis, higher_is_better, in_rank, score_axis
from mgbench.report.names import short_names, short_specs
from mgbench.report.paired import Points
from mgbench.report.style import (
    LIGHT,
    MOST_LONG,
    MOST_SERIES,
    Look,
    legend_label,
    letters,
    lines,
    looks,
    medium,
    panel,
    theme,
)
from mgbench.report.summary import comparable, floor_of, pareto, reconstruction_floors, summarise

FIRST = "nfe"
# Of more series than this that are drawn faintly, as many are drawn, spread over all of them.
MOST_FAINT = 100
# A panel for each of so many values of a field, at most.
MOST_PANELS = 9
# Of more tokenizers than this, only the best and the worst are drawn.
MOST_REBUILT = 3


@dataclass(frozen=True)
class Tradeoff:
    """A score against a cost: what is asked of some rows, of one protocol or of several; `most` series are drawn in colour."""

    metric: str
    cost: str = FIRST
    allow_mismatch: bool = False
    most: int = MOST_SERIES

    def shown(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The points that are drawn in colour."""
        found = points(frame, self.metric, self.cost, self.allow_mismatch)
        return foremost(found, higher_is_better(frame, self.metric), self.most)[0]

    def draw(self, axes: Axes, frame: pd.DataFrame, styles: Mapping[str, Look]) -> None:
        """Draw lines, intervals, front and floors, with their axes, but neither names nor a legend."""
        metric, higher = self.metric, higher_is_better(frame, self.metric)
        summary = points(frame, metric, self.cost, self.allow_mismatch)
        shown, rest = foremost(summary, higher, self.most)
        rows, front = comparable(frame, metric, self.allow_mismatch), pareto(summary, higher)
        styles = {**looks(frame), **looks(rows), **styles}
        _draw_rest(axes, rest)
        _draw_front(axes, front)
        _mark_ambiguous(axes, ambiguous(frame, metric, summary, higher))
        for name, line in shown.groupby("series", sort=False):
            draw_line(axes, line, styles[str(name)])
        scale_width(axes, summary["cost"])
        _draw_floors(axes, frame, metric, rows, shown)
        axes.set_xlabel(cost_axis(self.cost))
        axes.set_ylabel(legend_label(score_axis(rows, metric), letters(0.95 * panel()[1])))
        label_lines(axes, shown, styles, front, names=False)


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
    beside points are the sampling steps taken. Of many series the best are drawn in colour, the others faintly. A cost that
    is one number per series (of training) shows each series at its best. Give `styles` (of `looks`) to have the same colours
    in several figures.

    Raises:
        UserError: if there is no such score or cost, or the rows are not comparable.
    """
    asked = Tradeoff(metric, cost, allow_mismatch)
    shown = asked.shown(frame)
    styles = {**looks(frame), **looks(comparable(frame, metric, allow_mismatch)), **(styles or {})}
    with theme(bare=ax is not None):
        axes = ax if ax is not None else Figure(figsize=panel(), layout="constrained").subplots()
        asked.draw(axes, frame, styles)
        if len(shown):
            short = short_names(shown["series"].unique())
            axes.legend([styles[name].handle() for name in short], [legend_label(name) for name in short.values()])
    return axes


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
    rows, asked = comparable(frame, metric, allow_mismatch), Tradeoff(metric, cost, allow_mismatch)
    parts = panels(rows, by)[:MOST_PANELS]
    styles = {**looks(pd.concat([part for _, part in parts]) if by else rows), **(styles or {})}
    shown = [asked.shown(part) for _, part in parts]
    beside = fits_beside(_names(shown))
    if not beside:
        asked = replace(asked, most=MOST_LONG)
        shown = [asked.shown(part) for _, part in parts]
    with theme():
        height = sum(_height(found, beside) for found in shown) or panel()[1]
        figure = Figure(figsize=(panel()[0], height), layout="constrained")
        grid = figure.subplots(max(len(parts), 1), squeeze=False, sharex=len(parts) > 1)
        for axes, (title, part) in zip(np.ravel(grid), parts, strict=False):
            asked.draw(axes, _with_tokenizers(part, frame), styles)
            axes.set_title(title)
        if not beside:
            below(figure, _names(shown), styles)
        _finish(figure, shown, styles, higher_is_better(frame, metric), beside)
    return figure


def _finish(
    figure: Figure, shown: list[pd.DataFrame], styles: Mapping[str, Look], higher: bool | None, beside: bool
) -> None:
    """Give all panels one width, lay the figure out for good, and write names and settings where there is room."""
    for axes in figure.axes:
        scale_width(axes, pd.concat(shown)["cost"])
        axes.label_outer()
    figure.align_ylabels()
    # Names need to know where lines end, and the layout how long the names are; then it is final.
    for _ in range(2 if beside else 1):
        lay_out(figure)
        for axes, found in zip(figure.axes, shown, strict=False):
            label_lines(axes, found, styles, pareto(found, higher), names=beside)
    figure.set_layout_engine(None)


def _names(shown: list[pd.DataFrame]) -> list[str]:
    return list(dict.fromkeys(str(name) for found in shown for name in found["series"]))


def points(frame: pd.DataFrame, metric: str, cost: str, allow_mismatch: bool) -> pd.DataFrame:
    """The summary to draw; where the cost is one number per series, each series at its best only."""
    summary = summarise(frame, metric, cost, allow_mismatch)
    spans = summary.groupby("series", sort=False)["cost"].agg(["min", "max", "size"])
    if (spans["size"] > 1).any() and ((spans["max"] - spans["min"]) <= 1e-6 * spans["max"].abs()).all():
        order = in_rank(summary, "mean", higher_is_better(frame, metric))
        return order.drop_duplicates("series").sort_index()
    return summary


def panels(rows: pd.DataFrame, by: str = "", named: bool = True) -> list[tuple[str, pd.DataFrame]]:
    """The rows by a field's value, or by whether labels were used in training; one untitled panel where all agree."""
    if by:
        rows = rows.assign(series=name_series(rows, (by,)))
        spelled = rows[by].map(spell)
        field = f"{by.replace('_', ' ')} " if named else ""
        short = short_specs(spelled) if by in KINDS else {value: value for value in spelled}
        return [(field + text, rows[spelled == value]) for value, text in short.items()]
    if rows["labels"].nunique() < 2:
        return [("", rows)]
    titles = {True: "Trained with labels", False: "Trained without labels"}
    return [(title, rows[rows["labels"] == value]) for value, title in titles.items()]


def foremost(summary: pd.DataFrame, higher: bool | None, most: int = MOST_SERIES) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The series to draw in colour (those with the best means; the first ones, where none is best) and the others."""
    best = summary.groupby("series", sort=False)["mean"].agg("max" if higher else "min")
    keep = (best if higher is None else best.sort_values(ascending=not higher, kind="stable")).index[:most]
    chosen = summary["series"].isin(keep)
    return summary[chosen], summary[~chosen]


def _height(shown: pd.DataFrame, beside: bool) -> float:
    """A panel's height in inches: more where many names stand beside it."""
    return max(panel()[1], lines(shown["series"].nunique() * 0.8 + 4) if beside else 0)


def draw_line(axes: Axes, line: pd.DataFrame, look: Look) -> None:
    """Draw a series' `mean` over its `cost`, with its interval as a band; a single point with a bar."""
    alone = len(line) == 1
    # Along the cost, because more steps may cost less, and a line that runs backwards says nothing.
    line = line.sort_values("cost", kind="stable")
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
    """A broad pale step under the points that no other beats in both; nothing where one point beats all."""
    if len(front) > 1:
        axes.step(
            front["cost"], front["mean"], where="post", color=LIGHT.quiet, alpha=0.22,
            linewidth=2.4 * medium().line, solid_capstyle="round", solid_joinstyle="round", zorder=0.8, gid="pareto",
        )  # fmt: skip


def ambiguous(frame: pd.DataFrame, metric: str, summary: pd.DataFrame, higher: bool | None) -> pd.DataFrame:
    """The points of which seeds cannot say whether they are on the Pareto front.

    A point beside the front that cannot be told from the point of the front that beats it, or one on it whose gain over
    the cheaper one before it may be chance: the 95 % interval of the difference, paired by seed, holds 0.
    """
    front = pareto(summary, higher)
    points = summary.dropna(subset=["cost", "mean"]).reset_index(drop=True)
    if front.empty or not len(points):
        return points[:0]
    on_front = pd.MultiIndex.from_frame(points[["series", POINT]]).isin(
        pd.MultiIndex.from_frame(front[["series", POINT]])
    )
    # The front rises in cost: the last of its points that costs no more than a point is the one that beats it.
    rivals = np.searchsorted(front["cost"].to_numpy(float), points["cost"].to_numpy(float), side="right") - 1
    rivals = np.where(on_front, rivals - 1, rivals)
    asked = np.flatnonzero(rivals >= 0)
    both = pd.concat([points, front], ignore_index=True)
    apart = Points.of(frame, metric, both).apart(asked, len(points) + rivals[asked])
    unsure: pd.DataFrame = points.iloc[asked[apart == 0]]
    return unsure


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
