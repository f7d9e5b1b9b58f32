"""The figure of published results: FID against network forwards, with directly labelled series."""

import textwrap
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from mgbench.report.figures.axes import on_paper
from mgbench.report.figures.labels import area_of
from mgbench.report.figures.notebook import NotebookFigure
from mgbench.report.figures.placement import Placed, Room, Wanted, place
from mgbench.report.published.data import GROUPS, Published
from mgbench.report.style import COLOURS, LIGHT, MARKERS, legend_label, theme

WIDTH, HEIGHTS = 11.0, (6.6, 4.6)
TITLES = {True: "With guidance", False: "Without guidance"}
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
NAME_SIZE, NOTE_SIZE = 9.5, 7.8
INSET = 3.0  # points that names keep from the edges of a panel
NOTE_WIDTH, NOTE_LINE = 88, 0.15
OWN = "own"


def published_figure(published: Published, own: pd.DataFrame | None = None, *, notes: bool = True) -> Figure:
    """FID against network forwards of all published rows with both; one panel each for guided and unguided.

    `own` are points of the user, with columns series, nfe, fid and guided. Lines join sizes of a model at the same
    cost, and costs of the same model. With `notes`, caveats are below the figure; their numbers are always next to the
    names.
    """
    points = _points(published, own)
    panels = [(guided, points[points["guided"] == guided]) for guided in TITLES]
    panels = [(guided, part) for guided, part in panels if len(part)]
    numbers = published.numbered()
    with theme():
        figure = _panels(panels, points, _notes(published, numbers) if notes else ())
        for axes, (guided, part) in zip(figure.axes, panels, strict=True):
            axes.set_title(TITLES[guided])
            _draw(axes, part)
        _legend(figure, points)
        figure.draw_without_rendering()
        for axes, (_, part) in zip(figure.axes, panels, strict=True):
            _name(axes, part, numbers)
    return figure


def group_colours() -> dict[str, str]:
    """The colour of every group of families."""
    return {group: colour for group, (colour, _) in _looks().items()}


def _points(published: Published, own: pd.DataFrame | None) -> pd.DataFrame:
    drawn = published.drawn
    if own is None or own.empty:
        return drawn
    mine = own.assign(group=OWN, model=own["series"])
    return pd.concat([drawn, mine], ignore_index=True)


def _panels(panels: list[tuple[bool, pd.DataFrame]], points: pd.DataFrame, notes: tuple[list[str], ...]) -> Figure:
    """Axes one below the other, all with the same costs, and the notes in columns under them."""
    heights = HEIGHTS[: len(panels)]
    foot = NOTE_LINE * max(map(len, notes), default=0) + 0.15 if notes else 0.0
    total = sum(heights) + 0.9 + foot
    figure = NotebookFigure(figsize=(WIDTH, total))
    axes = figure.subplots(len(panels), sharex=True, squeeze=False, height_ratios=heights)
    figure.subplots_adjust(
        left=0.7 / WIDTH, right=1 - 0.15 / WIDTH, top=1 - 0.75 / total, bottom=(foot + 0.6) / total, hspace=0.1
    )
    for column, lines in enumerate(notes):
        figure.text(
            (0.15 + column * (WIDTH - 0.15) / len(notes)) / WIDTH, (foot - 0.02) / total, "\n".join(lines),
            fontsize=NOTE_SIZE, va="top", linespacing=1.35, color=LIGHT.quiet, gid="notes",
        )  # fmt: skip
    for part in axes[:, 0]:
        part.set_xscale("log", base=2)
        part.set_yscale("log")
        part.xaxis.set_major_locator(LogLocator(base=2, numticks=20))
        part.xaxis.set_minor_locator(NullLocator())
        part.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 1.5, 2, 3, 4, 6)))
        part.yaxis.set_minor_formatter(NullFormatter())
        for axis in (part.xaxis, part.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        part.set_ylabel("FID (lower is better)")
    axes[-1, 0].set_xlabel("NFE (network forwards per image)")
    axes[-1, 0].set_xlim(points["nfe"].min() / 1.35, points["nfe"].max() * 1.6)
    return figure


def _looks() -> dict[str, tuple[str, str]]:
    """Colour and marker of every group; the user's points are in the text colour."""
    groups = list(dict.fromkeys(GROUPS.values()))
    found = {group: (COLOURS[i][0], MARKERS[i]) for i, group in enumerate(groups)}
    return {**found, OWN: (LIGHT.ink, "*")}


def _draw(axes: Axes, part: pd.DataFrame) -> None:
    colours = _looks()
    for line in _lines(part):
        colour, _ = colours[line["group"].iloc[0]]
        mine = line["group"].iloc[0] == OWN
        axes.plot(line["nfe"], line["fid"], color=colour, linewidth=1.8 if mine else 0.9, alpha=1 if mine else 0.55)
    for group, rows in part.groupby("group", sort=False):
        colour, marker = colours[str(group)]
        axes.plot(
            rows["nfe"], rows["fid"], color=colour, marker=marker, linestyle="", gid="points",
            markersize=11 if group == OWN else 6.5, markeredgecolor=LIGHT.paper, markeredgewidth=0.5,
        )  # fmt: skip
    low, high = part["fid"].min(), part["fid"].max()
    axes.set_ylim(low / 1.09, high * 1.12)


def _lines(part: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The sizes of a series at one cost, and the costs of one model."""
    for keys, along in ((["group", "series", "nfe"], "fid"), (["group", "series", "model"], "nfe")):
        for _, rows in part.groupby(keys, sort=False):
            if len(rows) > 1:
                yield rows.sort_values(along)


def _name(axes: Axes, part: pd.DataFrame, numbers: dict[str, int]) -> None:
    """Write the name of each series, with the numbers of its traps, where there is room."""
    looks = _looks()
    series = [(str(group), str(name), rows) for (group, name), rows in part.groupby(["group", "series"], sort=False)]
    room = Room(area_of(axes, INSET))
    room.marks = _on_paper(axes, part)
    for line in _lines(part):
        room.add_line(_on_paper(axes, line), marked=False)
    texts = [_label(name, rows, numbers) for _, name, rows in series]
    fonts = [_font(group, looks[group][0]) for group, _, _ in series]
    wanted = [
        Wanted(*_size(axes, text, font), _on_paper(axes, rows))
        for text, font, (_, _, rows) in zip(texts, fonts, series, strict=True)
    ]
    for text, font, spot in zip(texts, fonts, place(wanted, room), strict=True):
        if spot is not None:
            _write(axes, text, font, spot)


def _write(axes: Axes, text: str, font: dict[str, Any], spot: Placed) -> None:
    leader = {"arrowstyle": "-", "color": font["color"], "linewidth": 0.6, "alpha": 0.7, "shrinkA": 1, "shrinkB": 3}
    points = np.array([spot.point, spot.centre]) * axes.figure.dpi / 72
    point, centre = (tuple(place) for place in axes.transData.inverted().transform(points))
    axes.annotate(
        text, point, centre, ha="center", va="center", gid="name", zorder=5,
        arrowprops=leader if spot.led else None, **font,
    )  # fmt: skip


def _font(group: str, colour: str) -> dict[str, Any]:
    return {"fontsize": NAME_SIZE, "color": colour, "fontweight": "bold" if group == OWN else "normal"}


def _label(name: str, rows: pd.DataFrame, numbers: dict[str, int]) -> str:
    found = sorted({numbers[trap] for traps in rows["traps"].dropna() for trap in traps if trap in numbers})
    marks = " ".join(str(number).translate(SUPERSCRIPTS) for number in found)
    if rows["group"].iloc[0] == OWN:
        return legend_label(f"{name} (yours)", 36)
    return f"{name} {marks}" if marks else name


def _size(axes: Axes, text: str, font: dict[str, Any]) -> tuple[float, float]:
    """Width and height of a text, in typographic points."""
    probe = axes.text(0, 0, text, **font)
    box = probe.get_window_extent()
    probe.remove()
    scale = 72 / axes.figure.dpi
    return box.width * scale, box.height * scale


def _on_paper(axes: Axes, rows: pd.DataFrame) -> np.ndarray:
    """Positions of rows on the figure, in typographic points."""
    return on_paper(axes, rows[["nfe", "fid"]].to_numpy(float))


def _legend(figure: Figure, points: pd.DataFrame) -> None:
    looks = {name: look for name, look in _looks().items() if name in set(points["group"]) - {OWN}}
    handles = [Line2D([], [], color=colour, marker=marker, linestyle="") for colour, marker in looks.values()]
    figure.legend(
        handles, list(looks), loc="upper left", ncols=len(looks), fontsize=9.5, handletextpad=0.2, columnspacing=1.4
    )


def _notes(published: Published, numbers: dict[str, int]) -> tuple[list[str], ...]:
    """The numbered caveats in columns of about equal length."""
    notes = [
        textwrap.wrap(f"{number}  {published.text_of(name)}", NOTE_WIDTH, subsequent_indent="     ")
        for name, number in numbers.items()
    ]
    half = sum(map(len, notes)) / 2
    left = sum(1 for place in range(len(notes)) if sum(map(len, notes[: place + 1])) <= half + 1)
    return [*chain(*notes[:left])], [*chain(*notes[left:])]
