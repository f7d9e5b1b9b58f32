"""A search over recipes: its history, and the found recipe against the method as it is, seed by seed."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mgbench.report.figures.notebook import NotebookFigure
from mgbench.report.figures.picture import Picture
from mgbench.report.frame import METHOD, REPEAT, of_images
from mgbench.report.measures import number, score_name
from mgbench.report.stored import Stored
from mgbench.report.style import COLOURS, LIGHT, axis_label, looks, medium, panel, theme
from mgbench.report.tuning import full_name, history, verdict
from mgbench.results.tuning import Tuning

SECTION = "Tuning"
# Scores that span at least this ratio are drawn on a logarithmic axis.
_WIDE = 8


def pictures(stored: Stored) -> Iterator[Picture]:
    """The search of a study, if one found its recipes."""
    tuning: Tuning | None = stored.frame.attrs.get("tuning") or None
    metric = full_name(stored.frame, tuning.metric) if tuning else None
    if tuning is None or metric is None:
        return
    found = history(stored.layout, tuning)
    yield Picture(
        SECTION,
        "tuning",
        f"Search of {tuning.method} at {tuning.nfe:g} NFE",
        _caption(tuning, found),
        f"{_caption(tuning, found)} {verdict(stored.frame, tuning)}",
        partial(tuning_figure, stored.frame, found, tuning, metric),
    )


def _caption(tuning: Tuning, found: pd.DataFrame) -> str:
    """The caption: what was tried, and what the two panels show."""
    left_out = int(found["score"].isna().sum())
    said = [
        f"Left: {len(found)} recipes in the order in which they were tried, scored on the validation half of the held-out "
        f"images; line: the best so far; dashed: {tuning.method} as it is."
    ]
    if left_out:
        said.append(f"{left_out} of them have no score: they need more forwards, or their parts do not fit.")
    if tuning.winner:
        said.append("Right: on the test half, each line one trained model.")
    return " ".join(said)


def tuning_figure(frame: pd.DataFrame, found: pd.DataFrame, tuning: Tuning, metric: str) -> Figure | None:
    """The figure of a search; None if it has no scores."""
    if found["score"].isna().all():
        return None
    pairs, colours = _pairs(frame, tuning, metric), _colours(frame, tuning)
    with theme():
        figure = NotebookFigure(figsize=panel(1.35 if len(pairs) else 1.0), layout="constrained")
        widths = [2, 1] if len(pairs) else [1]
        axes = figure.subplots(1, len(widths), width_ratios=widths, squeeze=False)[0]
        _draw_history(axes[0], found, tuning.winner, colours)
        axes[0].set_ylabel(axis_label(f"{score_name(frame, metric)} on searched images", panel()[1]))
        if len(pairs):
            _draw_pairs(axes[1], pairs, colours)
            axes[1].set_ylabel(axis_label(f"{score_name(frame, metric)} on held-out images", panel()[1]))
    return figure


def _colours(frame: pd.DataFrame, tuning: Tuning) -> tuple[str, str]:
    """The colours of the method and of the found recipe, as in the other figures of the frame."""
    known = {name: look.colour for name, look in looks(of_images(frame)).items()}
    return known.get(tuning.method, COLOURS[1][0]), known.get(tuning.tuned, COLOURS[0][0])


def _draw_history(axes: Axes, found: pd.DataFrame, winner: int, colours: tuple[str, str]) -> None:
    base, best, (before, after) = found["score"].iloc[0], found.loc[winner], colours
    size = medium().marker
    axes.plot(found["number"], found["score"], "o", markersize=0.8 * size, color=LIGHT.quiet, alpha=0.7, gid="tried")
    axes.step(found["number"], found["best"], where="post", color=after, linewidth=medium().line, gid="best")
    axes.axhline(base, color=before, linewidth=0.8 * medium().line, linestyle="--", gid="base")
    axes.plot([best["number"]], [best["score"]], "o", markersize=1.3 * size, color=after, gid="winner")
    if found["score"].min() > 0 and found["score"].max() >= _WIDE * found["score"].min():
        axes.set_yscale("log")
    axes.set_xlabel("Recipe tried")


def _pairs(frame: pd.DataFrame, tuning: Tuning, metric: str) -> pd.DataFrame:
    """The score of both recipes by seed: a column for each; empty without finished pairs."""
    rows = of_images(frame)
    rows = rows[rows["status"] == "done"]
    table = rows.pivot_table(index=REPEAT, columns=METHOD, values=metric, aggfunc="mean")
    names = [tuning.method, tuning.tuned]
    return table[names].dropna() if set(names) <= set(table) else pd.DataFrame()


def _draw_pairs(axes: Axes, pairs: pd.DataFrame, colours: tuple[str, str]) -> None:
    values = pairs.to_numpy(float)
    for before, after in values:
        axes.plot([0, 1], [before, after], color=LIGHT.quiet, linewidth=0.6 * medium().line, alpha=0.7, gid="seed")
    for place, colour in enumerate(colours):
        axes.plot(np.full(len(values), place), values[:, place], "o", color=colour, markersize=0.9 * medium().marker)
        mean = float(values[:, place].mean())
        axes.plot([place - 0.14, place + 0.14], [mean, mean], color=colour, linewidth=1.4 * medium().line, gid="mean")
        axes.annotate(
            number(mean), (place, mean), xytext=(-22 if place == 0 else 22, 0), textcoords="offset points", va="center",
            ha="right" if place == 0 else "left", fontsize=0.9 * medium().text, color=LIGHT.ink,
        )  # fmt: skip
    axes.set_xticks([0, 1], [str(name) for name in pairs])
    axes.set_xlim(-0.9, 1.9)
    axes.grid(axis="x", visible=False)
