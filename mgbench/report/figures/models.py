"""Scores of trained models that do not depend on sampling: a point per model."""

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mgbench.report.figures.notebook import NotebookFigure, drawn_on
from mgbench.report.figures.picture import Picture
from mgbench.report.frame import REPEAT, of_images, score_names
from mgbench.report.measures import higher_is_better, in_rank, number, score_axis, score_name, slug, with_interval
from mgbench.report.names import short_names
from mgbench.report.paired import interval
from mgbench.report.stored import Stored
from mgbench.report.style import LIGHT, MOST_SERIES, Look, axis_label, legend_label, lines, looks, medium, panel, theme
from mgbench.report.summary import comparable, sampled_scores

NAME_WIDTH = 30


def pictures(stored: Stored) -> Iterator[Picture]:
    """A picture of each score that does not depend on how a model is sampled."""
    frame = stored.frame
    sampled = sampled_scores(frame)
    for metric in (name for name in score_names(of_images(frame)) if name not in sampled):
        found = by_model(frame, metric, allow_mismatch=True)
        if len(found):
            said = [f"{row['series']}: {number(row['mean'])}" for row in found.to_dict("records")]
            yield Picture(
                "Training",
                slug(metric),
                f"{score_name(frame, metric)} of each model",
                "This score does not depend on sampling; series with the same models share a point."
                + (" Bars: 95 % interval over seeds." if found["low"].notna().any() else ""),
                f"Dot plot of {score_name(frame, metric)}, a point per model. {'; '.join(said)}.",
                partial(_figure, frame, metric),
            )


def by_model(frame: pd.DataFrame, metric: str, allow_mismatch: bool = False) -> pd.DataFrame:
    """The mean of a score over the models (seeds) of each series, with its 95 % interval; the best series first.

    Series that share their models are one, under the name of the first. Columns: series, mean, low, high.
    """
    models = comparable(frame, metric, allow_mismatch).drop_duplicates("training_key")
    seeds = models.groupby(["series", REPEAT], sort=False, dropna=False)[metric].mean()
    found = [
        {"series": series, **dict(zip(("mean", "low", "high"), interval(part.to_numpy(float)), strict=True))}
        for series, part in seeds.groupby(level=0, sort=False)
    ]
    table = pd.DataFrame(found, columns=["series", "mean", "low", "high"])
    order = in_rank(table, "mean", higher_is_better(frame, metric))
    return order.head(MOST_SERIES).reset_index(drop=True)


def model_scores(
    frame: pd.DataFrame,
    metric: str,
    ax: Axes | None = None,
    *,
    styles: Mapping[str, Look] | None = None,
    allow_mismatch: bool = False,
) -> Axes:
    """Draw a score of models: a point for each with its 95 % interval over seeds, the best on top.

    Raises:
        UserError: if there is no such score, or the rows are not comparable.
    """
    found = by_model(frame, metric, allow_mismatch)
    styles = {**looks(frame), **(styles or {})}
    with drawn_on(ax, lambda: _size(found)) as axes:
        for height, row in enumerate(found.to_dict("records")):
            look = styles[str(row["series"])]
            if not np.isnan(row["low"]):
                axes.hlines(height, row["low"], row["high"], color=look.colour, linewidth=medium().line, gid="interval")
            axes.plot([row["mean"]], [height], color=look.colour, linestyle="", gid="model", **look.marks())
            axes.annotate(
                with_interval(row["mean"], row["low"], row["high"]), (1, height), xycoords=("axes fraction", "data"),
                xytext=(5, 0), textcoords="offset points", va="center", fontsize=0.85 * medium().text, color=LIGHT.quiet,
            )  # fmt: skip
        _frame(axes, found, score_axis(frame, metric))
    return axes


def _frame(axes: Axes, found: pd.DataFrame, name: str) -> None:
    axes.set_yticks(range(len(found)), [legend_label(text, NAME_WIDTH, 2) for text in _names(found)])
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.margins(x=0.12)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(axis_label(name, 0.8 * panel()[0]))


def _names(found: pd.DataFrame) -> list[str]:
    return list(short_names(found["series"]).values())


def _size(found: pd.DataFrame) -> tuple[float, float]:
    return panel()[0], lines(1.7 * len(found) + 4)


def _figure(frame: pd.DataFrame, metric: str) -> Figure:
    with theme():
        figure = NotebookFigure(figsize=_size(by_model(frame, metric, allow_mismatch=True)), layout="constrained")
        model_scores(frame, metric, figure.subplots(), allow_mismatch=True)
    return figure
