"""Training curves: the smoothed loss of each model against training steps."""

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mgbench.report.figures.axes import scale_height
from mgbench.report.figures.labels import below
from mgbench.report.figures.notebook import NotebookFigure, drawn_on
from mgbench.report.figures.picture import Picture
from mgbench.report.frame import spell
from mgbench.report.names import short_names
from mgbench.report.stored import Stored
from mgbench.report.style import MOST_SERIES, Look, legend_label, letters, looks, medium, panel, theme
from mgbench.results.layout import Layout

POINTS = 300
MOST_PANELS = 4


def pictures(stored: Stored) -> Iterator[Picture]:
    """The training curves."""
    frame, layout = stored.frame, stored.layout
    series = ", ".join(map(str, frame["series"].unique()[:MOST_SERIES]))
    yield Picture(
        "Training",
        "training",
        "Training loss",
        "Moving average, mean over seeds. Losses of different heads or weightings are not comparable: compare shapes, not "
        "values.",
        f"Line chart of the smoothed training loss against the training step for {series}.",
        partial(_panels, frame, layout),
    )


def _panels(frame: pd.DataFrame, layout: Layout) -> Figure | None:
    return training_panels(frame, layout, styles=looks(frame))


def read_curves(frame: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """The smoothed loss per series; columns series, head, step, loss; empty where no model has a curve.

    Series that share their models (they differ in sampling only) share one curve, under the name of the first. A curve
    is the mean over seeds, up to the step that all of them reached, smoothed over a fortieth of the training.
    """
    models = frame[frame["training_key"].astype(bool)].drop_duplicates("training_key")
    parts = []
    for series, rows in models.groupby("series", sort=False):
        curves = [curve for key in rows["training_key"] if (curve := _curve(layout, key)) is not None]
        if curves:
            loss = pd.concat(curves, axis=1).dropna().mean(axis=1)
            parts.append(_smooth(loss).assign(series=series, head=spell(rows["head"].iloc[0])))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["step", "loss", "series", "head"])


def _curve(layout: Layout, training_key: str) -> pd.Series | None:
    """The loss of one model by step; None if it cannot be read."""
    try:
        table = pd.read_csv(layout.model(training_key) / "training.csv", usecols=["step", "loss"])
    except (FileNotFoundError, ValueError):
        return None
    table = table.apply(pd.to_numeric, errors="coerce").replace([np.inf, -np.inf], np.nan).dropna()
    return table.groupby("step")["loss"].last() if len(table) else None


def _smooth(loss: pd.Series) -> pd.DataFrame:
    smooth = loss.rolling(max(1, len(loss) // 40), center=True, min_periods=1).mean()
    keep = np.unique(np.linspace(0, len(smooth) - 1, min(POINTS, len(smooth))).astype(int))
    return smooth.iloc[keep].rename_axis("step").rename("loss").reset_index()


def training_curves(
    frame: pd.DataFrame,
    layout: Layout,
    ax: Axes | None = None,
    *,
    styles: Mapping[str, Look] | None = None,
) -> Axes:
    """Draw the smoothed training loss of every series against the training step."""
    with drawn_on(ax) as axes:
        curves = read_curves(frame, layout)
        styles = {**looks(frame), **(styles or {})}
        _draw(axes, curves, styles)
        names = list(curves["series"].unique())
        if names:
            labels = [legend_label(name) for name in short_names(names).values()]
            axes.legend([styles[name].handle(marker=False) for name in names], labels)
    return axes


def training_panels(frame: pd.DataFrame, layout: Layout, *, styles: Mapping[str, Look] | None = None) -> Figure | None:
    """A whole figure of training curves, a panel per head, since losses of different heads measure different things.

    None where no model has a curve.
    """
    curves = read_curves(frame, layout)
    first = curves["series"].unique()[:MOST_SERIES]
    curves = curves[curves["series"].isin(first)]
    heads = list(curves["head"].unique())[:MOST_PANELS]
    if not heads:
        return None
    styles = {**looks(frame), **(styles or {})}
    with theme():
        figure = NotebookFigure(figsize=panel(1, 0.8 * len(heads)), layout="constrained")
        for axes, head in zip(np.ravel(figure.subplots(len(heads), squeeze=False)), heads, strict=True):
            _draw(axes, curves[curves["head"] == head], styles)
            axes.set_title(legend_label(f"Head: {head}", letters(0.78 * panel()[0]), 2) if len(heads) > 1 else "")
        shown = curves[curves["head"].isin(heads)]
        below(figure, list(shown["series"].unique()), styles, marker=False)
    return figure


def _draw(axes: Axes, curves: pd.DataFrame, styles: Mapping[str, Look]) -> None:
    names = list(curves["series"].unique())
    if names:
        sns.lineplot(
            curves, x="step", y="loss", hue="series", style="series", hue_order=names, style_order=names,
            palette={name: styles[name].colour for name in names}, dashes={name: styles[name].dashes for name in names},
            estimator=None, legend=False, linewidth=0.9 * medium().line, ax=axes,
        )  # fmt: skip
        scale_height(axes, curves["loss"])
    axes.set_xlabel("Training step")
    axes.set_ylabel("Training loss (smoothed)")
