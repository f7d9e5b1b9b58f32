"""Larger grids: heat maps of two axes, and small multiples, a panel per choice on one axis."""

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mgbench.report.figures.axes import BIG_RATIO
from mgbench.report.figures.labels import below
from mgbench.report.figures.notebook import NotebookFigure, drawn_on
from mgbench.report.figures.picture import Picture
from mgbench.report.figures.points import Lines, Tradeoff, panels
from mgbench.report.figures.tradeoff import MOST_PANELS, draw_lines
from mgbench.report.frame import POINT, spelled_fields
from mgbench.report.labels import family
from mgbench.report.measures import cost_axis, higher_is_better, number, score_axis, score_name, slug
from mgbench.report.names import short_specs
from mgbench.report.paired import axes_within, effects
from mgbench.report.stored import Stored
from mgbench.report.style import (
    LIGHT,
    MOST_LONG,
    WHITE,
    Look,
    axis_label,
    legend_label,
    lines,
    looks,
    medium,
    panel,
    theme,
)
from mgbench.report.summary import comparable, sampled_scores, summarise

MOST_MAPS, MOST_CELLS = 3, 24
# Number of letters after which a cell label is wrapped.
LABEL_WIDTH = 26
# Number of letters that fit next to each other below a map.
FLAT_LETTERS = 56
COLOURS = "cividis"


def pictures(stored: Stored) -> Iterator[Picture]:
    """Heat maps of the pairs of axes with the largest effects, and small multiples over the first axis with at least three
    values.
    """
    frame = stored.frame
    for metric in sampled_scores(frame)[:1]:
        if higher_is_better(frame, metric) is None:
            return
        ranked = _axes_by_effect(frame, metric)
        for one, other in list(itertools.combinations([*ranked, POINT], 2))[:MOST_MAPS]:
            cells = grid_of(frame, metric, one, other)
            if _crossed(cells):
                yield _map_picture(frame, metric, one, other, cells)
        if len(ranked) > 1 and not stored.choices.by:
            yield _multiples_picture(frame, metric, ranked[0])


def _axes_by_effect(frame: pd.DataFrame, metric: str) -> list[str]:
    """The axes that vary within a method and can be compared, by decreasing effect."""
    rows = comparable(frame, metric, allow_mismatch=True)
    varied = axes_within(rows, rows["method"])
    return [axis for axis in dict.fromkeys(effects(frame, metric, allow_mismatch=True)["axis"]) if axis in varied]


def _crossed(cells: pd.DataFrame) -> bool:
    """Whether two axes were varied together: both have several values, and most cells of their grid have a score."""
    return min(cells.shape) > 1 and max(cells.shape) <= MOST_CELLS and float(cells.notna().to_numpy().mean()) > 0.5


def grid_of(frame: pd.DataFrame, metric: str, one: str, other: str, allow_mismatch: bool = True) -> pd.DataFrame:
    """The best mean of a metric over seeds for each pair of choices on two axes (rows and columns), over all other fields."""
    rows = comparable(frame, metric, allow_mismatch)
    spelled = spelled_fields(rows)
    means = (
        pd.to_numeric(rows[metric])
        .groupby([spelled[one], spelled[other], rows["series"], rows[POINT]], sort=False)
        .mean()
    )
    by_cell = means.groupby(level=[0, 1], sort=False)
    best = by_cell.max() if higher_is_better(frame, metric) else by_cell.min()
    cells = best.unstack()
    return cells.loc[_in_order(cells.index), _in_order(cells.columns)]


def _in_order(choices: pd.Index) -> list[Any]:
    """Sort numbers; keep the order of anything else."""
    numbers = pd.to_numeric(pd.Series(choices), errors="coerce")
    return list(choices) if numbers.isna().any() else list(choices[np.argsort(numbers, kind="stable")])


def heat_map(
    frame: pd.DataFrame,
    metric: str,
    one: str,
    other: str,
    ax: Axes | None = None,
    *,
    allow_mismatch: bool = False,
) -> Axes:
    """Draw a metric over two axes of a study: each cell is the best mean over seeds of all rows with both choices.

    Bright is better; the best cell is framed.

    Raises:
        UserError: if there is no such score, or the rows are not comparable.
    """
    cells, higher = grid_of(frame, metric, one, other, allow_mismatch), higher_is_better(frame, metric)
    with drawn_on(ax, lambda: _map_size(cells)) as axes:
        _draw_cells(axes, cells.to_numpy(float), higher)
        _label_cells(axes, cells)
        axes.set_xlabel(other.replace("_", " "))
        axes.set_ylabel(one.replace("_", " "))
        axes.set_title(score_axis(frame, metric))
        axes.grid(False)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    return axes


def _draw_cells(axes: Axes, values: np.ndarray, higher: bool | None) -> None:
    """Every cell in its colour with its number, and a frame around the best."""
    norm, colours = _norm(values), COLOURS if higher else f"{COLOURS}_r"
    image = axes.imshow(np.ma.masked_invalid(values), cmap=colours, norm=norm, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            bright = sum(np.array(image.cmap(norm(value)))[:3] * (0.3, 0.59, 0.11)) > 0.5
            axes.text(
                column, row, number(value), ha="center", va="center", fontsize=0.85 * medium().text,
                color="#111111" if bright else WHITE,
            )  # fmt: skip
    if higher is not None:
        _frame_best(axes, values, higher)


def _label_cells(axes: Axes, cells: pd.DataFrame) -> None:
    across, down = (_choices(names) for names in (cells.columns, cells.index))
    axes.set_xticks(range(len(across)), across)
    axes.set_yticks(range(len(down)), down)
    if max(map(len, across)) * len(across) > FLAT_LETTERS:
        axes.tick_params(axis="x", labelrotation=30)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")


def _choices(names: pd.Index) -> list[str]:
    """The choices on an axis, without the options that all of them share."""
    return [legend_label(name, LABEL_WIDTH, 2) for name in short_specs(map(str, names)).values()]


def _norm(values: np.ndarray) -> Normalize:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return LogNorm(low, high) if low > 0 and high / low >= BIG_RATIO else Normalize(low, high)


def _frame_best(axes: Axes, values: np.ndarray, higher: bool) -> None:
    row, column = _best(values, higher)
    corner = (column - 0.5, row - 0.5)
    frame = Rectangle(corner, 1, 1, fill=False, edgecolor=LIGHT.ink, linewidth=medium().line, gid="best")
    frame.set_clip_on(False)
    axes.add_patch(frame)


def _best(values: np.ndarray, higher: bool) -> tuple[int, int]:
    """Row and column of the best cell."""
    row, column = np.unravel_index(int(np.nanargmax(values) if higher else np.nanargmin(values)), values.shape)
    return int(row), int(column)


def _map_size(cells: pd.DataFrame) -> tuple[float, float]:
    tall = max(name.count("\n") for name in _choices(cells.index)) + 2.2
    return panel()[0], lines(tall * cells.shape[0] + 8)


def small_multiples(
    frame: pd.DataFrame, metric: str, by: str, cost: str = "nfe", *, allow_mismatch: bool = False
) -> Figure:
    """A panel per choice on one axis, all on the same scales: a score against a cost, with a line per remaining series.

    Raises:
        UserError: if there is no such score or cost, or the rows are not comparable.
    """
    rows = comparable(frame, metric, allow_mismatch)
    asked = Tradeoff(metric, cost, allow_mismatch=True, most=MOST_LONG)
    parts = [(title, asked.of(part)) for title, part in panels(rows, by, named=False)[:MOST_PANELS]]
    styles = looks(pd.concat([found.rows for _, found in parts]))
    across = min(3, len(parts))
    with theme():
        figure = NotebookFigure(figsize=panel(1, 0.55 * -(-len(parts) // across)), layout="constrained")
        grid = np.ravel(figure.subplots(-(-len(parts) // across), across, squeeze=False, sharex=True, sharey=True))
        for axes, (title, found) in zip(grid, parts, strict=False):
            _panel(axes, found, title, asked, styles)
        for axes in grid[len(parts) :]:
            axes.remove()
        _same_scales(grid[: len(parts)])
        grid[(len(parts) - 1) // across * across + (across - 1) // 2].set_xlabel(cost_axis(cost))
        arrow = {True: " ↑", False: " ↓", None: ""}[higher_is_better(frame, metric)]
        for axes in grid[: len(parts) : across]:
            axes.set_ylabel(axis_label(f"{score_name(frame, metric)}{arrow}", 0.55 * panel()[1]))
        shown = pd.concat([found.shown for _, found in parts])
        below(figure, list(shown["series"].unique()), styles)
    return figure


def _panel(axes: Axes, found: Lines, title: str, asked: Tradeoff, styles: dict[str, Look]) -> None:
    draw_lines(axes, found, asked, styles, found.rows)
    axes.set_title(legend_label(title, 24, 2), fontsize=0.9 * medium().text)
    # There is no room for what they say.
    for artist in [*axes.texts, *(line for line in axes.lines if line.get_gid() == "floor")]:
        artist.remove()
    axes.label_outer()
    axes.set(xlabel="", ylabel="")


def _same_scales(grid: np.ndarray) -> None:
    """Give all panels common limits that include everything; each panel has set its own before."""
    drawn = [line for axes in grid for line in axes.lines]
    costs, means = (np.concatenate([np.asarray(line.get_data()[axis], float) for line in drawn]) for axis in (0, 1))
    low, high = float(means.min()), float(means.max())
    logarithmic = low > 0 and high / low >= BIG_RATIO
    for axes in grid:
        axes.set_yscale("log" if logarithmic else "linear")
        axes.set_ylim(
            *((low / 1.15, high * 1.15) if logarithmic else (low - 0.07 * (high - low), high + 0.07 * (high - low)))
        )
        axes.set_xlim(costs.min() / 2**0.35, costs.max() * 2**0.35)


def _map_picture(frame: pd.DataFrame, metric: str, one: str, other: str, cells: pd.DataFrame) -> Picture:
    values = cells.to_numpy(float)
    row, column = _best(values, bool(higher_is_better(frame, metric)))
    where = f"{cells.index[row]} and {cells.columns[column]}"
    names = " and ".join(name.replace("_", " ") for name in (one, other))
    return Picture(
        "Choices",
        f"{slug(family(metric))}-{slug(one, other)}",
        f"{score_name(frame, metric)} by {names}",
        "Each cell: the best mean over seeds of all rows with both choices. Bright is better; the best cell is framed.",
        f"Heat map of {score_name(frame, metric)} by {names}: best {number(float(values[row, column]))} at {where}.",
        partial(_heat_map, frame, metric, one, other),
    )


def _heat_map(frame: pd.DataFrame, metric: str, one: str, other: str) -> Figure:
    figure = heat_map(frame, metric, one, other, allow_mismatch=True).figure
    assert isinstance(figure, Figure)
    return figure


def _multiples_picture(frame: pd.DataFrame, metric: str, by: str) -> Picture:
    named = by.replace("_", " ")
    return Picture(
        "Choices",
        f"{slug(family(metric))}-by-{slug(by)}",
        f"{score_name(frame, metric)} against NFE, by {named}",
        f"A panel per {named}, all on the same scales; the arrow points to better.{_bands(frame, metric)}",
        f"Small multiples: {score_name(frame, metric)} against network forwards, a panel per {named}.",
        partial(_draw_multiples, frame, metric, by),
    )


def _bands(frame: pd.DataFrame, metric: str) -> str:
    certain = summarise(frame, metric, allow_mismatch=True)["low"].notna().any()
    return " Bands: 95 % interval over seeds." if certain else ""


def _draw_multiples(frame: pd.DataFrame, metric: str, by: str) -> Figure:
    return small_multiples(frame, metric, by, allow_mismatch=True)
