"""How do quality and cost trade off? A score against a cost, a line and a band per series."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mgbench.report.figures.axes import label_points, limit_height, scale_height, scale_width
from mgbench.report.figures.picture import Picture, Stored
from mgbench.report.frame import POINT, score_names
from mgbench.report.measures import (
    briefly,
    cost_axis,
    family,
    higher_is_better,
    number,
    ranked,
    score_axis,
    score_name,
    slug,
)
from mgbench.report.style import MOST_SERIES, Look, ground, legend_label, looks, theme
from mgbench.report.summary import comparable, floor_of, summarise

PANEL = (6.4, 4.0)
# Inches: what one line of a legend takes, and how much of it the panels give up without becoming flat.
LEGEND_LINE, LEGEND_ROOM = 0.21, 0.9
# File names say "seconds" where records say "seconds_per_image".
AGAINST = {"nfe": "nfe", "seconds_per_image": "seconds"}


def pictures(stored: Stored) -> Iterator[Picture]:
    """Every score against the network forwards, and the first of them against time too."""
    frame = stored.frame
    for place, metric in enumerate(score_names(frame)):
        for cost, word in AGAINST.items():
            if cost in frame and (cost == "nfe" or place == 0):
                rows = comparable(frame, metric, allow_mismatch=True)
                if len(rows) and rows[cost].notna().any():
                    yield _picture(frame, metric, cost, f"{_short(frame, metric)}-versus-{word}")


def metric_versus(
    frame: pd.DataFrame,
    metric: str,
    cost: str = "nfe",
    ax: Axes | None = None,
    *,
    styles: Mapping[str, Look] | None = None,
    allow_mismatch: bool = False,
    dark: bool = False,
    legend: bool = True,
) -> Axes:
    """Draw a score against a cost: a line per series, its 95 % interval over seeds, and what real images score.

    The numbers beside points are sampling steps. Of many series the best dozen is drawn in colour, the others faintly.
    Give `styles` (of `looks`) to have the same colours in several figures.

    Raises:
        UserError: if there is no such score or cost, or the rows are not comparable.
    """
    with theme(dark, bare=ax is not None):
        axes = ax if ax is not None else Figure(figsize=PANEL, layout="constrained").subplots()
        summary = summarise(frame, metric, cost, allow_mismatch)
        higher = higher_is_better(frame, metric)
        shown, rest = foremost(summary, higher)
        styles = {**looks(frame, dark), **looks(comparable(frame, metric, allow_mismatch), dark), **(styles or {})}
        _draw_rest(axes, rest, dark)
        _draw_series(axes, shown, styles, dark)
        scale_width(axes, summary["cost"])
        floor = floor_of(frame, metric)
        scale_height(axes, shown["mean"], floor)
        limit_height(axes, shown, floor)
        _draw_floor(axes, floor, dark)
        axes.set_xlabel(cost_axis(cost))
        axes.set_ylabel(score_axis(metric, higher))
        if legend and len(shown):
            names = list(shown["series"].unique())
            axes.legend([styles[name].handle() for name in names], [legend_label(name) for name in names])
        label_points(axes, shown, dark)
    return axes


def metric_panels(
    frame: pd.DataFrame,
    metric: str,
    cost: str = "nfe",
    *,
    styles: Mapping[str, Look] | None = None,
    allow_mismatch: bool = False,
    dark: bool = False,
) -> Figure:
    """A whole figure of a score against a cost; methods trained with and without labels get a panel each."""
    rows = comparable(frame, metric, allow_mismatch)
    parts = panels(rows)
    styles = {**looks(rows, dark), **(styles or {})}
    with theme(dark):
        figure = Figure(figsize=(PANEL[0], PANEL[1] * max(len(parts), 1) + 0.4), layout="constrained")
        for axes, (title, part) in zip(
            np.ravel(figure.subplots(max(len(parts), 1), squeeze=False)), parts, strict=False
        ):
            metric_versus(
                part, metric, cost, axes, styles=styles, allow_mismatch=allow_mismatch, dark=dark, legend=False
            )
            axes.set_title(title)
        shown = [_shown(part, metric, cost, allow_mismatch) for _, part in parts]
        below(figure, list(dict.fromkeys(name for points in shown for name in points["series"])), styles)
        for axes in figure.axes:
            scale_width(axes, pd.concat(shown)["cost"])
        figure.align_ylabels()
        figure.draw_without_rendering()
        for axes, points in zip(figure.axes, shown, strict=False):
            label_points(axes, points, dark)
    return figure


def panels(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows by whether labels were used in training; one untitled panel where all agree."""
    if rows["labels"].nunique() < 2:
        return [("", rows)]
    titles = {True: "Trained with labels", False: "Trained without labels"}
    return [(title, rows[rows["labels"] == value]) for value, title in titles.items()]


def foremost(summary: pd.DataFrame, higher: bool, most: int = MOST_SERIES) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The series to draw in colour (those with the best means) and the others."""
    best = summary.groupby("series", sort=False)["mean"].agg("max" if higher else "min")
    keep = best.sort_values(ascending=not higher, kind="stable").index[:most]
    chosen = summary["series"].isin(keep)
    return summary[chosen], summary[~chosen]


def below(figure: Figure, names: list[str], styles: Mapping[str, Look], marker: bool = True) -> None:
    """One legend for the whole figure, under it, in as many columns as fit; the figure grows by what many or long names need."""
    if not names:
        return
    labels = [legend_label(name) for name in names]
    longest = max(len(line) for label in labels for line in label.splitlines())
    columns = max(1, min(len(labels), int(figure.get_figwidth() * 11 // (longest + 6))))
    rows = -(-len(labels) // columns)
    height = LEGEND_LINE * sum(sorted((label.count("\n") + 1 for label in labels), reverse=True)[:rows])
    figure.set_figheight(figure.get_figheight() + max(0.0, height - LEGEND_ROOM))
    handles = [styles[name].handle(marker) for name in names]
    figure.legend(handles, labels, loc="outside lower left", ncols=columns, handlelength=3)


def _shown(part: pd.DataFrame, metric: str, cost: str, allow_mismatch: bool) -> pd.DataFrame:
    return foremost(summarise(part, metric, cost, allow_mismatch), higher_is_better(part, metric))[0]


def _draw_series(axes: Axes, shown: pd.DataFrame, styles: Mapping[str, Look], dark: bool) -> None:
    names = list(shown["series"].unique())
    if not names:
        return
    paths: dict[str, Any] = {"palette": {}, "markers": {}, "dashes": {}}
    for name in names:
        paths["palette"][name] = styles[name].colour
        paths["markers"][name] = styles[name].marker
        paths["dashes"][name] = styles[name].dashes
    sns.lineplot(
        shown, x="cost", y="mean", hue="series", style="series", hue_order=names, style_order=names, **paths,
        estimator=None, sort=False, legend=False, markersize=6.5, linewidth=2,
        markeredgecolor=ground(dark).paper, ax=axes,
    )  # fmt: skip
    for name, points in shown.dropna(subset=["low", "high"]).groupby("series", sort=False):
        colour = styles[str(name)].colour
        axes.fill_between(
            points["cost"], points["low"], points["high"], color=colour, alpha=0.16, linewidth=0, zorder=1
        )


def _draw_rest(axes: Axes, rest: pd.DataFrame, dark: bool) -> None:
    for _, points in rest.groupby("series", sort=False):
        axes.plot(points["cost"], points["mean"], color=ground(dark).quiet, alpha=0.18, linewidth=0.8, zorder=0.5)
    count = rest["series"].nunique()
    if count:
        note = f"faint: {count:,} more series"
        axes.annotate(
            note, (1, 1), xycoords="axes fraction", xytext=(0, 3), textcoords="offset points",
            ha="right", va="bottom", fontsize=9, color=ground(dark).quiet,
        )  # fmt: skip


def _draw_floor(axes: Axes, floor: float | None, dark: bool) -> None:
    """A dashed line at what real images score; at the edge, with an arrow, where it lies outside the axis."""
    if floor is None:
        return
    low, high = axes.get_ylim()
    edge = min(max(floor, low), high)
    arrow = " ↓" if floor < low else " ↑" if floor > high else ""
    upwards = edge - low < (high - low) / 2
    axes.axhline(edge, color=ground(dark).quiet, linestyle=(0, (5, 3)), linewidth=1.3, zorder=1.5, gid="floor")
    axes.annotate(
        f"real images: {briefly(floor)}{arrow}", (0, edge), xycoords=("axes fraction", "data"),
        xytext=(5, 4 if upwards else -4), textcoords="offset points", va="bottom" if upwards else "top",
        fontsize=9.5, color=ground(dark).quiet, gid="floor",
    )  # fmt: skip


def _picture(frame: pd.DataFrame, metric: str, cost: str, stem: str) -> Picture:
    return Picture(
        "Trade-offs",
        stem,
        f"{score_name(metric)} against {cost_axis(cost).partition(' (')[0]}",
        _caption(frame, metric),
        _alt(frame, metric, cost),
        partial(_draw_picture, frame, metric, cost),
    )


def _draw_picture(frame: pd.DataFrame, metric: str, cost: str, dark: bool) -> Figure:
    return metric_panels(frame, metric, cost, styles=looks(frame, dark), allow_mismatch=True, dark=dark)


def _caption(frame: pd.DataFrame, metric: str) -> str:
    summary = summarise(frame, metric, allow_mismatch=True)
    band = "Bands: 95 % interval of the mean over seeds (Student's t). " if summary["low"].notna().any() else ""
    floor = "Dashed: as many held-out real images." if floor_of(frame, metric) is not None else ""
    return f"Numbers at points: sampling steps. {band}{floor}".strip()


def _alt(frame: pd.DataFrame, metric: str, cost: str) -> str:
    best = ranked(frame, metric, cost).drop_duplicates("series")[:MOST_SERIES]
    lines = [
        f"{row['series']}: best {number(row['mean'])} at {cost} {number(row['cost'])}, {row[POINT]:.0f} steps"
        for _, row in best.iterrows()
    ]
    kind = f"Line chart of {score_name(metric)} against {cost_axis(cost)}, one line per method"
    return f"{kind}. {'; '.join(lines)}."


def _short(frame: pd.DataFrame, metric: str) -> str:
    """The metric in a file name; with its extractor only where another has the same family."""
    alone = sum(family(name) == family(metric) for name in score_names(frame)) == 1
    return slug(family(metric)) if alone else slug(metric)
