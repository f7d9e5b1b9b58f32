"""Mask schedules γ(t), and the number of tokens that each sampling step reveals."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mgbench.report.figures.labels import below
from mgbench.report.figures.notebook import NotebookFigure, drawn_on
from mgbench.report.figures.picture import Picture
from mgbench.report.figures.sheets import shared_steps
from mgbench.report.frame import POINT, REPEAT, of_images
from mgbench.report.names import short_names
from mgbench.report.stored import Stored
from mgbench.report.style import DASHES, MOST_SERIES, Look, legend_label, looks, medium, panel, theme
from mgbench.results.layout import Layout

FILE = "curves.json"


def pictures(stored: Stored) -> Iterator[Picture]:
    """The schedules and reveal counts of all series at one number of steps."""
    frame, layout = stored.frame, stored.layout
    steps = _informative_steps(frame, layout)
    found = read_schedules(frame, layout, steps)
    if found:
        counts = [
            f"{name}: {', '.join(f'{value:.1f}' for value in curve['revealed'][:8])} …" for name, curve in found.items()
        ]
        yield Picture(
            "Sampling",
            "schedules",
            "Mask schedules, and tokens revealed per step",
            "Left: the share of tokens masked at time t (1 at the start of sampling). Right: the mean number of tokens that a "
            "step reveals" + (f", of {steps} steps" if steps else "") + "; below 0 it masks more than it reveals.",
            f"Line charts of the mask schedules and of the tokens revealed at each step. {'; '.join(counts[:8])}.",
            partial(_figure, frame, layout, steps),
        )


def read_schedules(frame: pd.DataFrame, layout: Layout, steps: int | None = None) -> dict[str, dict[str, Any]]:
    """The stored schedules of each series: t, gamma by kind of schedule, tokens, revealed by step, and the specs.

    They are those of the first seed, at `steps` or at the largest number of steps of each series.
    """
    rows = of_images(frame)
    rows = rows[(rows["status"] == "done") & ((rows[POINT] == steps) | (steps is None))]
    rows = rows.sort_values([POINT, REPEAT], ascending=[False, True], kind="stable").drop_duplicates("series")
    order = {name: place for place, name in enumerate(frame["series"].unique())}
    rows = rows.sort_values("series", key=lambda names: names.map(order), kind="stable").head(MOST_SERIES)
    found = {}
    for row in rows.to_dict("records"):
        try:
            curve = json.loads((layout.run(row["key"]) / FILE).read_text(encoding="utf-8"))
            curve["specs"] = {kind: str(row[kind]) for kind in curve["gamma"]}
            found[str(row["series"])] = curve
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def _informative_steps(frame: pd.DataFrame, layout: Layout) -> int | None:
    """The largest number of steps of all series at which a step reveals two tokens or more, else the smallest."""
    shared = shared_steps(frame)
    for steps in reversed(shared):
        tokens = [curve["tokens"] for curve in read_schedules(frame, layout, steps).values()]
        if tokens and 2 * steps <= max(tokens):
            return steps
    return shared[0] if shared else None


def mask_schedules(
    frame: pd.DataFrame,
    layout: Layout,
    ax: Axes | None = None,
    *,
    styles: Mapping[str, Look] | None = None,
) -> Axes:
    """Draw γ(t) of every mask schedule that a series trains or samples with, named by its spec."""
    with drawn_on(ax) as axes:
        found = read_schedules(frame, layout)
        styles = {**looks(frame), **(styles or {})}
        drawn: dict[str, Any] = {}
        for series, curve in found.items():
            for kind, gamma in curve["gamma"].items():
                spec = curve["specs"][kind]
                if spec not in drawn:
                    drawn[spec] = axes.plot(curve["t"], gamma, color=styles[series].colour, linewidth=medium().line)[0]
                    drawn[spec].set_label(legend_label(spec, 30))
                    if dashes := DASHES[(len(drawn) - 1) % len(DASHES)]:
                        drawn[spec].set_dashes(dashes)
        axes.set_xlabel("Time t")
        axes.set_ylabel("Share masked γ(t)")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        if drawn:
            axes.legend(loc="best", fontsize=0.85 * medium().text, handlelength=2.4)
    return axes


def reveal_counts(
    frame: pd.DataFrame,
    layout: Layout,
    steps: int | None = None,
    ax: Axes | None = None,
    *,
    styles: Mapping[str, Look] | None = None,
    legend: bool = True,
) -> Axes:
    """Draw the mean number of tokens that each step reveals, a line per series."""
    with drawn_on(ax) as axes:
        found = read_schedules(frame, layout, steps)
        styles = {**looks(frame), **(styles or {})}
        for name, curve in found.items():
            look, revealed = styles[name], curve["revealed"]
            line = axes.plot(
                np.arange(1, len(revealed) + 1), revealed, color=look.colour, linewidth=medium().line,
                **look.marks() | {"markersize": 0.75 * medium().marker},
            )[0]  # fmt: skip
            if look.dashes:
                line.set_dashes(look.dashes)
        axes.set_xlabel("Sampling step")
        axes.set_ylabel("Tokens revealed")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if legend and found:
            axes.legend(
                [styles[name].handle() for name in found], [legend_label(name) for name in short_names(found).values()]
            )
    return axes


def _figure(frame: pd.DataFrame, layout: Layout, steps: int | None) -> Figure:
    with theme():
        figure = NotebookFigure(figsize=panel(1, 0.75), layout="constrained")
        left, right = figure.subplots(1, 2)
        styles = looks(frame)
        mask_schedules(frame, layout, left, styles=styles)
        reveal_counts(frame, layout, steps, right, styles=styles, legend=False)
        below(figure, list(read_schedules(frame, layout, steps)), styles)
    return figure
