"""Scores against the guidance scale, which is read from the spec."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mgbench.errors import UserError
from mgbench.recipes.spec import Spec
from mgbench.report.figures.axes import scale_height
from mgbench.report.figures.labels import below
from mgbench.report.figures.notebook import NotebookFigure, drawn_on
from mgbench.report.figures.picture import Picture
from mgbench.report.figures.tradeoff import draw_line
from mgbench.report.frame import POINT, REPEAT, name_series, spelled_fields
from mgbench.report.measures import higher_is_better, in_rank, number, score_axis, score_name
from mgbench.report.names import short_names
from mgbench.report.stored import Stored
from mgbench.report.style import MOST_LONG, MOST_SERIES, Look, axis_label, legend_label, looks, panel, theme
from mgbench.report.summary import comparable, half_width, sampled_scores

FIELD, OPTION = "guidance_schedule", "scale"
# Scores that guidance trades off against the first one, and the maximum number of panels.
MOST_PANELS = 3
# The height of one of several, in panels.
_HEIGHT = 0.72
UNGUIDED = 1.0
COLUMNS = ["line", "series", POINT, "scale", "mean", "low", "high"]


def pictures(stored: Stored) -> Iterator[Picture]:
    """The sweep of the guidance scale, if a line has at least three scales, or two other than 1."""
    frame = stored.frame
    sweeps = {metric: found for metric in sampled_scores(frame) if len(found := sweep(frame, metric, True))}
    sweeps = dict(list(sweeps.items())[:MOST_PANELS])
    for metric, found in list(sweeps.items())[:1]:
        names = ", ".join(score_name(frame, name) for name in sweeps)
        steps = " or ".join(str(count) for count in sorted(found[POINT].unique()))
        yield Picture(
            "Choices",
            "guidance",
            f"{names} against the guidance scale",
            f"Scale 1 is the conditional model without guidance. Each line keeps everything else the same, at {steps} steps."
            f"{' Bands: 95 % interval over seeds.' if found['low'].notna().any() else ''}{_which(found)}",
            _alt(found, score_name(frame, metric), higher_is_better(frame, metric)),
            partial(_panels, frame, sweeps),
        )


def _which(found: pd.DataFrame) -> str:
    lines = found["line"].nunique()
    return f" Of {lines:,} lines, the {MOST_LONG} that come to the best score." if lines > MOST_LONG else ""


def scale_of(spec: str) -> float | None:
    """The guidance scale that a spec names, itself or in a part of it; 1 for a spec without options, else None.

    `interval(low=0.1, high=0.5, inner=constant(scale=2.0))` has scale 2.
    """
    try:
        parsed = Spec.parse(spec)
    except UserError:
        return None
    found = list(_scales(parsed))
    bare = UNGUIDED if not parsed.options and not parsed.args else None
    return found[0] if found else bare


def _scales(value: object) -> Iterator[float]:
    for name, option in value.options if isinstance(value, Spec) else ():
        if name == OPTION and isinstance(option, int | float):
            yield float(option)
        yield from _scales(option)


def _without_scale(value: object) -> Any:
    """A spec with the scale left out, by which the points of one line are known."""
    if not isinstance(value, Spec):
        return value
    options = tuple((name, _without_scale(option)) for name, option in value.options if name != OPTION)
    return Spec(value.name, tuple(_without_scale(item) for item in value.args), options)


def sweep(frame: pd.DataFrame, metric: str, allow_mismatch: bool = False) -> pd.DataFrame:
    """The mean of a metric over seeds per line and scale, with its 95 % interval; empty where no line has several
    scales.

    A line is a method with all its settings but scale and seed, at the number of steps with most scales (the largest of
    these). Unguided rows of the same settings are its point at scale 1. Columns: line, series (for its colour), scale,
    mean, low, high.
    """
    rows = comparable(frame, metric, allow_mismatch)
    spelled = spelled_fields(rows)
    if FIELD not in spelled:
        return pd.DataFrame(columns=COLUMNS)
    known = {spec: scale_of(spec) for spec in spelled[FIELD].unique()}
    scales = spelled[FIELD].map(known)
    forms = spelled[FIELD].map(
        {spec: str(_without_scale(Spec.parse(spec))) for spec in known if known[spec] is not None}
    )
    rest = spelled.drop(columns=[FIELD, REPEAT, "metrics"], errors="ignore")
    rows = rows.assign(line=name_series(rows, (FIELD,)), scale=scales, form=forms, score=pd.to_numeric(rows[metric]))
    rows["rest"] = pd.util.hash_pandas_object(rest, index=False)
    bare = spelled[FIELD] == forms
    return _best_steps(_lines(rows[~bare & scales.notna()], rows[bare & (scales == UNGUIDED)]))


def _lines(guided: pd.DataFrame, unguided: pd.DataFrame) -> pd.DataFrame:
    """The mean score of every line at every scale; what is unguided belongs to all lines of its settings."""
    firsts = guided.drop_duplicates(["form", "rest"])[["form", "rest", "line", "series", POINT]]
    base = firsts.merge(unguided[["rest", "scale", "score", REPEAT]], on="rest")
    own = firsts.merge(guided[["form", "rest", "scale", "score", REPEAT]], on=["form", "rest"])
    points = pd.concat([base, own.assign(guided=own["scale"])], ignore_index=True)
    counts = points.groupby(["form", "rest"])[["scale", "guided"]].transform("nunique")
    keys = ["form", "rest", "line", "series", POINT, "scale"]
    # Of a seed one number, so that only seeds are replicates.
    seeds = points[(counts["scale"] > 2) | (counts["guided"] > 1)].groupby([*keys, REPEAT], sort=False, dropna=False)
    scored = seeds["score"].mean().reset_index().groupby(keys, sort=False)["score"]
    found = scored.agg(["mean", "std", "count"]).reset_index()
    half = half_width(found["std"].to_numpy(float), found["count"].to_numpy())
    named = found["line"] + f", {FIELD}=" + found["form"]
    return found.assign(line=named, low=found["mean"] - half, high=found["mean"] + half)[COLUMNS]


def _best_steps(found: pd.DataFrame) -> pd.DataFrame:
    """The rows of each line at its number of steps with the most scales (the largest of several), which its name states."""
    if found.empty:
        return found
    counts = found.groupby(["line", POINT], sort=False)["scale"].nunique().reset_index()
    keep = counts.sort_values(["scale", POINT], kind="stable").drop_duplicates("line", keep="last")
    kept = found.merge(keep[["line", POINT]]).sort_values(["line", "scale"], kind="stable", ignore_index=True)
    return kept.assign(line=[f"{line}, {POINT}={steps}" for line, steps in zip(kept["line"], kept[POINT], strict=True)])


def score_versus_scale(
    frame: pd.DataFrame,
    metric: str,
    ax: Axes | None = None,
    *,
    styles: Mapping[str, Look] | None = None,
    allow_mismatch: bool = False,
) -> Axes:
    """Draw a score against the guidance scale, a line per method and settings, with its 95 % interval over seeds.

    Raises:
        UserError: if there is no such score, or the rows are not comparable.
    """
    found, higher = sweep(frame, metric, allow_mismatch), higher_is_better(frame, metric)
    with drawn_on(ax) as axes:
        kept = _line_looks(found, {**looks(frame), **(styles or {})}, higher)
        _draw_sweep(axes, found, kept, score_axis(frame, metric))
        if kept:
            axes.legend([look.handle() for look in kept.values()], list(map(legend_label, short_names(kept).values())))
    return axes


def guidance_panels(frame: pd.DataFrame, metrics: list[str], *, styles: Mapping[str, Look] | None = None) -> Figure:
    """A whole figure: a panel per score over one axis of scales, and one legend."""
    return _panels(frame, {metric: sweep(frame, metric, allow_mismatch=True) for metric in metrics}, styles)


def _panels(frame: pd.DataFrame, sweeps: dict[str, pd.DataFrame], styles: Mapping[str, Look] | None = None) -> Figure:
    first, found = next(iter(sweeps.items()))
    kept = _line_looks(found, {**looks(frame), **(styles or {})}, higher_is_better(frame, first))
    with theme():
        figure = NotebookFigure(figsize=panel(1, _HEIGHT * len(sweeps) + 0.1), layout="constrained")
        grid = np.ravel(figure.subplots(len(sweeps), squeeze=False, sharex=True))
        for axes, (metric, found) in zip(grid, sweeps.items(), strict=True):
            _draw_sweep(axes, found, kept, score_axis(frame, metric))
            axes.label_outer()
        below(figure, list(kept), kept)
        figure.align_ylabels()
    return figure


def _line_looks(found: pd.DataFrame, styles: Mapping[str, Look], higher: bool | None) -> dict[str, Look]:
    """The look of each line, which is that of its first series; of very many lines, only those with the best scores."""
    best = in_rank(found, "mean", higher)["line"].unique()[:MOST_LONG]
    firsts = found[found["line"].isin(best)].drop_duplicates("line")
    return {str(line): styles[str(series)] for line, series in zip(firsts["line"], firsts["series"], strict=True)}


def _draw_sweep(axes: Axes, found: pd.DataFrame, kept: Mapping[str, Look], name: str) -> None:
    shown = found[found["line"].isin(list(kept))]
    for line, points in shown.groupby("line", sort=False):
        draw_line(axes, points.rename(columns={"scale": "cost"}), kept[str(line)])
    if len(shown):
        scale_height(axes, shown["mean"])
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("Guidance scale (1: none)")
    axes.set_ylabel(axis_label(name, panel(1, _HEIGHT)[1]))


def _alt(found: pd.DataFrame, name: str, higher: bool | None) -> str:
    best = in_rank(found, "mean", higher).drop_duplicates("line")
    columns = best[["line", "mean", "scale"]].head(MOST_SERIES).to_numpy().tolist()
    said = [f"{line}: best {number(mean)} at scale {scale:g}" for line, mean, scale in columns]
    return f"Line chart of {name} against the guidance scale. {'; '.join(said)}."
