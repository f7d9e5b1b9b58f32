"""Labels of lines: names at their ends and numbers beside points, where there is room."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation, Transform

from mgbench.report.figures.axes import LINE, halo, on_paper, separate_levels
from mgbench.report.figures.levels import LEADER, box_of, name_levels
from mgbench.report.figures.placement import Room, Wanted
from mgbench.report.names import short_names
from mgbench.report.style import LIGHT, Look, legend_label, lines, medium, readable

# Maximum length of a name at the end of its line; longer names go to a legend below.
NAME_WIDTH = 24
# Number of lines above which only Pareto-optimal points have their settings written.
MOST_NUMBERED = 6
# A line that ends before this share of the width, or is a single point, is named at its end, if there is room.
EARLY = 0.5
# The width of a letter relative to the font size.
LETTER = 0.62


def area_of(axes: Axes, inset: float = 0.0) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of an axes on the page, in typographic points, less an inset at each side."""
    left, bottom, right, top = (float(side) * 72 / axes.figure.dpi for side in axes.bbox.extents)
    return left + inset, bottom + inset, right - inset, top - inset


def lay_out(figure: Figure) -> None:
    """Compute the layout without drawing."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)


def fix_legend(axes: Axes, shown: pd.DataFrame) -> None:
    """Keep the legend of an axes where it is, so that names may be written around it; beside the axes if it covers
    lines.
    """
    legend = axes.get_legend()
    if legend is None:
        return
    if _lines_room(axes, shown).free(box_of(legend, axes)[None]).all():
        legend.set_loc(tuple(axes.transAxes.inverted().transform(legend.get_window_extent().min)))
    else:
        legend.set_loc("upper left")
        legend.set_bbox_to_anchor((1.01, 1.0), axes.transAxes)


def _lines_room(axes: Axes, shown: pd.DataFrame) -> Room:
    """The area of an axes, with the lines, markers and bars in it marked as occupied."""
    room = Room(area_of(axes), mark=medium().marker / 2, gap=0.0)
    for _, line in shown.groupby("series", sort=False):
        room.add_line(on_paper(axes, line[["cost", "mean"]].to_numpy(float)))
        if len(line) == 1 and line["low"].notna().all():
            ends = np.array([(line["cost"].iloc[0], line[end].iloc[0]) for end in ("low", "high")])
            room.add_line(on_paper(axes, ends), marked=False)
    return room


def fits_beside(names: list[str]) -> bool:
    """Whether names, shortened, can stand at the ends of their lines."""
    return all(len(name) <= NAME_WIDTH for name in short_names(names).values())


def label_lines(axes: Axes, shown: pd.DataFrame, styles: Mapping[str, Look], front: pd.DataFrame, names: bool) -> None:
    """Write names at the ends of lines (if wanted) and sampling steps beside points; call again once the layout is final."""
    for text in [text for text in axes.texts if text.get_gid() in ("steps", "name", LEADER)]:
        text.remove()
    if shown.empty:
        separate_levels(axes)
        return
    room = _lines_room(axes, shown)
    name_levels(axes, room)
    if names:
        _name(axes, shown, styles, room)
    numbered = shown if shown["series"].nunique() <= MOST_NUMBERED else front
    _number(axes, numbered, room)


def _name(axes: Axes, shown: pd.DataFrame, styles: Mapping[str, Look], room: Room) -> None:
    """Write names at the right edge without overlap, and those of lines that end early next to their ends."""
    short = short_names(shown["series"].unique())
    ends = shown.sort_values("cost", kind="stable").groupby("series", sort=False).last()
    spots = on_paper(axes, ends[["cost", "mean"]].to_numpy(float))
    size = 0.9 * medium().text
    left, bottom, edge, top = area_of(axes)
    waiting = []
    for name, spot in zip(map(str, ends.index), spots, strict=True):
        early = (spot[0] - left) < EARLY * (edge - left) or (shown["series"] == name).sum() == 1
        if not (early and _name_here(axes, short[name], spot, readable(styles[name].colour), room, size)):
            waiting.append((name, spot))
    if not waiting:
        return
    waiting.sort(key=lambda item: item[1][1])
    heights = spread(np.array([spot[1] for _, spot in waiting]), LINE * size, bottom, top)
    for (name, spot), height in zip(waiting, heights, strict=True):
        look = styles[name]
        leader = {
            "arrowstyle": "-",
            "color": look.colour,
            "linewidth": 0.6,
            "shrinkA": 0,
            "shrinkB": medium().marker * 0.7,
        }
        axes.annotate(
            legend_label(short[name], NAME_WIDTH), _data(axes, spot), xytext=(1, (height - bottom) / (top - bottom)),
            textcoords=_beside(axes), ha="left", va="center", fontsize=size, color=readable(look.colour), gid="name",
            arrowprops=leader | {"relpos": (0, 0.5), "alpha": 0.7}, annotation_clip=False,
        )  # fmt: skip


def _beside(axes: Axes) -> Transform:
    return axes.transAxes + ScaledTranslation(12 / 72, 0, axes.figure.dpi_scale_trans)


def _data(axes: Axes, spot: np.ndarray) -> tuple[float, float]:
    x, y = axes.transData.inverted().transform(spot * axes.figure.dpi / 72)
    return float(x), float(y)


def _name_here(axes: Axes, name: str, spot: np.ndarray, colour: str, room: Room, size: float) -> bool:
    """Write a name beside the end of its line; whether there was room."""
    width, height = LETTER * size * len(name), LINE * size
    gap = medium().marker
    right, up = np.array((width / 2 + gap, 0)), np.array((0, height / 2 + gap))
    shifts = np.stack([right, right + up, right - up, up, -up, up - right, -up - right, -right])
    placed = room.put(Wanted(width, height, spot[None], shifts))
    if placed is None:
        return False
    axes.annotate(
        name, _data(axes, spot), xytext=tuple(placed.centre - spot), textcoords="offset points", gid="name",
        ha="center", va="center", fontsize=size, color=colour, path_effects=halo(axes),
    )  # fmt: skip
    return True


def spread(wanted: np.ndarray, height: float, low: float, high: float) -> np.ndarray:
    """Positions at least `height` apart, inside [low, high] if they fit, as close as possible to the `wanted`
    (increasing) ones.

    They are optimal in least squares: overlapping neighbours are merged and moved together.
    """
    pools: list[tuple[float, int]] = []
    for value in wanted - height * np.arange(len(wanted)):
        total, count = float(value), 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            before = pools.pop()
            total, count = total + before[0], count + before[1]
        pools.append((total, count))
    level = np.concatenate([np.full(count, total / count) for total, count in pools])
    upper = max(high - height * (len(wanted) - 1), low)
    placed: np.ndarray = np.clip(level, low, upper) + height * np.arange(len(wanted))
    return placed


def _number(axes: Axes, points: pd.DataFrame, room: Room) -> None:
    size = 0.78 * medium().text
    height = LINE * size
    away = np.array((0.0, height / 2 + medium().marker / 2 + 1.5))
    for steps, cost, mean in points[["taken", "cost", "mean"]].itertuples(index=False):
        text = f"{steps:.0f}"
        spot = on_paper(axes, np.array([(cost, mean)], float))
        placed = room.put(Wanted(LETTER * size * len(text) + 1, height - 1, spot, np.stack([away, -away])))
        if placed is not None:
            axes.annotate(
                text, (cost, mean), xytext=tuple(placed.centre - spot[0]), textcoords="offset points", gid="steps",
                ha="center", va="center", fontsize=size, color=LIGHT.ink, path_effects=halo(axes),
            )  # fmt: skip


def below(figure: Figure, names: list[str], styles: Mapping[str, Look], marker: bool = True) -> None:
    """Add one legend below the figure, in as many columns as fit; the figure grows to make room."""
    if not names:
        return
    short = short_names(names)
    labels = [legend_label(short[name], 64) for name in names]
    longest = max(len(line) for label in labels for line in label.splitlines())
    letters = figure.get_figwidth() * 72 / (medium().text * LETTER)
    columns = max(1, min(len(labels), int(letters // (longest + 6))))
    rows = -(-len(labels) // columns)
    needed = sum(sorted((label.count("\n") + 1 for label in labels), reverse=True)[:rows])
    figure.set_figheight(figure.get_figheight() + lines(needed + 0.5))
    handles = [styles[name].handle(marker) for name in names]
    figure.legend(handles, labels, loc="outside lower left", ncols=columns, handlelength=3)
