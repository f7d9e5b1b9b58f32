"""Shares of time for training, sampling and other timed stages, by series."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mgbench.report.figures.labels import fits_beside
from mgbench.report.figures.notebook import NotebookFigure, drawn_on
from mgbench.report.figures.picture import Picture
from mgbench.report.frame import of_images
from mgbench.report.measures import briefly
from mgbench.report.names import short_names
from mgbench.report.stored import Stored
from mgbench.report.style import LIGHT, MOST_LONG, MOST_SERIES, WHITE, legend_label, lines, medium, panel, theme

# Costs named "<stage>_seconds" are of one model or one row; those of a model count once however many rows share it.
TIMED, OF_MODEL = "_seconds", ("tokenizer", "train")
SAMPLING = "seconds_per_image"
# From dark to light, so that neighbours also differ in grey; the same on light and dark backgrounds.
TONES = ("#3b76ad", "#e6a23c", "#7fb8a4", "#c9c3d6")
NARROW = 0.06


def pictures(stored: Stored) -> Iterator[Picture]:
    """The shares, where at least two stages were timed."""
    spent = seconds_by_stage(stored.frame)
    if spent.shape[1] > 1:
        said = [f"{name}: {_shares(row)}" for name, row in spent.head(MOST_SERIES).iterrows()]
        yield Picture(
            "Training",
            "stages",
            "Where the time goes",
            "Shares of the total seconds of all rows of a series, which are at the right; "
            "a training that rows share counts once per series.",
            f"Stacked bars of the share of time in each stage. {'; '.join(said)}.",
            partial(_figure, stored.frame),
        )


def seconds_by_stage(frame: pd.DataFrame) -> pd.DataFrame:
    """Seconds by series (rows) and stage (columns), summed over all finished rows."""
    rows = of_images(frame)
    rows = rows[rows["status"] == "done"]
    timed = [str(name) for name in rows.attrs.get("costs", ()) if str(name).endswith(TIMED)]
    spent: dict[str, pd.Series] = {}
    for name in timed:
        stage = name.removesuffix(TIMED)
        counted = rows.drop_duplicates(["series", "training_key"]) if stage in OF_MODEL else rows
        spent[stage] = pd.to_numeric(counted[name], errors="coerce").groupby(counted["series"], sort=False).sum()
    if SAMPLING in rows and "sample" not in spent:
        images = rows["protocol"].str.extract(r"/n(\d+)(?:/|$)", expand=False).astype(float)
        seconds = pd.to_numeric(rows[SAMPLING], errors="coerce") * images
        spent["sample"] = seconds.groupby(rows["series"], sort=False).sum()
    table = pd.DataFrame(spent).reindex(rows["series"].unique()).fillna(0.0)
    return table.loc[:, table.sum() > 0]


def _shown(frame: pd.DataFrame) -> pd.DataFrame:
    spent = seconds_by_stage(frame)
    return spent.head(MOST_SERIES if fits_beside(list(map(str, spent.index))) else MOST_LONG)


def stage_shares(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw a bar per series, divided by the share of its time that each stage took."""
    spent = _shown(frame)
    with drawn_on(ax, lambda: _size(len(spent))) as axes:
        _draw_bars(axes, spent)
        axes.set_yticks(range(len(spent)), [legend_label(name, 30, 2) for name in short_names(spent.index).values()])
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.set_xlabel("Share of the time")
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            ncols=len(spent.columns) or 1,
            handlelength=1,
            handleheight=1,
            borderaxespad=0.2,
        )
    return axes


def _draw_bars(axes: Axes, spent: pd.DataFrame) -> None:
    """A bar per series in the colours of its stages, with their shares where there is room, and the seconds at its end."""
    total, start = spent.sum(axis=1), np.zeros(len(spent))
    small: Any = {"va": "center", "fontsize": 0.85 * medium().text}
    for place, stage in enumerate(spent):
        share = (spent[stage] / total.where(total > 0, 1)).to_numpy()
        colour = TONES[place % len(TONES)]
        bars = axes.barh(np.arange(len(spent)), share, left=start, height=0.68, color=colour, label=str(stage))
        for bar, part in zip(bars, share, strict=True):
            if part >= NARROW:
                at = bar.get_x() + part / 2, bar.get_y() + bar.get_height() / 2
                axes.text(*at, f"{part:.0%}", color=_on(colour), ha="center", **small)
        start += share
    for place, seconds in enumerate(total):
        axes.text(1.015, place, f"{briefly(seconds)} s", color=LIGHT.quiet, **small)


def _figure(frame: pd.DataFrame) -> Figure:
    with theme():
        figure = NotebookFigure(figsize=_size(len(_shown(frame))), layout="constrained")
        stage_shares(frame, figure.subplots())
    return figure


def _size(bars: int) -> tuple[float, float]:
    return panel()[0], lines(1.7 * bars + 5)


def _on(colour: str) -> str:
    """Black or white, whichever has more contrast with a colour."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return "#111111" if 0.3 * red + 0.59 * green + 0.11 * blue > 128 else WHITE


def _shares(row: pd.Series) -> str:
    return ", ".join(f"{stage} {seconds / row.sum():.0%}" for stage, seconds in row.items()) if row.sum() else "nothing"
