"""Effects of choices: for every axis of a study, the difference that each makes with everything else equal."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mgbench.report.figures.axes import draw_note, halo
from mgbench.report.figures.notebook import NotebookFigure, drawn_on
from mgbench.report.figures.picture import Picture
from mgbench.report.frame import of_images, score_names
from mgbench.report.labels import family
from mgbench.report.measures import higher_is_better, images_scored, number, score_name, slug
from mgbench.report.names import short_specs
from mgbench.report.paired import effects
from mgbench.report.stored import Stored
from mgbench.report.style import COLOURS, LIGHT, axis_label, legend_label, lines, medium, panel, theme
from mgbench.results.wording import counted

MOST_CHOICES = 30
NAME_WIDTH, NAME_LINES = 40, 3


def pictures(stored: Stored) -> Iterator[Picture]:
    """The effects on the first score, if any two rows differ in only one choice."""
    frame = stored.frame
    for metric in score_names(of_images(frame))[:1]:
        found = effects(frame, metric, allow_mismatch=True)
        if len(found):
            yield Picture(
                "Choices",
                f"effects-{slug(family(metric))}",
                f"What each choice does to {score_name(frame, metric)}",
                _caption(found),
                _alt(found, score_name(frame, metric)),
                partial(_figure, frame, metric, strongest(found)),
            )


def choice_effects(frame: pd.DataFrame, metric: str, ax: Axes | None = None, *, allow_mismatch: bool = False) -> Axes:
    """Draw the paired difference of every choice against the most frequent one of its axis, with interval and seeds.

    Raises:
        UserError: if there is no such score, or the rows are not comparable.
    """
    found = strongest(effects(frame, metric, allow_mismatch))
    with drawn_on(ax, lambda: _size(found)) as axes:
        _draw_all(axes, frame, metric, found)
    return axes


def _draw_all(axes: Axes, frame: pd.DataFrame, metric: str, found: pd.DataFrame) -> None:
    heights = _heights(found)
    axes.axvline(0, color=LIGHT.quiet, linewidth=0.8, zorder=1)
    for height, row in zip(heights, found.to_dict("records"), strict=True):
        _draw(axes, height, row)
    _name(axes, found, heights)
    higher = higher_is_better(frame, metric)
    said = [images_scored(frame, metric), {True: "right is better", False: "left is better", None: ""}[higher]]
    inside = ", ".join(part for part in said if part)
    name = f"Difference in {score_name(frame, metric)}" + (f" ({inside})" if inside else "")
    axes.set_xlabel(axis_label(name, 0.8 * panel()[0]))
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.12)
    axes.spines["left"].set_visible(False)
    draw_note(axes, "seeds")


def effects_figure(frame: pd.DataFrame, metric: str) -> Figure | None:
    """A complete figure of the effects; None if no two rows differ in only one choice."""
    found = strongest(effects(frame, metric, allow_mismatch=True))
    return None if found.empty else _figure(frame, metric, found)


def _figure(frame: pd.DataFrame, metric: str, found: pd.DataFrame) -> Figure:
    with theme():
        figure = NotebookFigure(figsize=_size(found), layout="constrained")
        _draw_all(figure.subplots(), frame, metric, found)
    return figure


def strongest(found: pd.DataFrame) -> pd.DataFrame:
    """The choices to draw, with the reference of each axis (no seeds) first, and without options that an axis shares.

    Of very many choices, only those that differ most.
    """
    keep = found["mean"].abs().sort_values(ascending=False, kind="stable").index[:MOST_CHOICES]
    parts = []
    for _, part in found[found.index.isin(keep)].groupby("axis", sort=False):
        short = short_specs([*part["choice"], *part["reference"]])
        reference = part.head(1).assign(choice=part["reference"], mean=0.0, low=np.nan, high=np.nan, seeds=0, pairs=0)
        parts.append(pd.concat([reference, part]).replace({"choice": short, "reference": short}))
    return pd.concat(parts, ignore_index=True) if parts else found


def _heights(found: pd.DataFrame) -> np.ndarray:
    """Heights of the choices, in lines from the top down, with a line for its name above every axis."""
    new = (found["axis"] != found["axis"].shift()).to_numpy()
    tall = np.array([1.35 + 1.05 * _name_of(choice).count("\n") for choice in found["choice"]])
    heights: np.ndarray = -(np.cumsum(tall) - tall / 2 + 1.5 * np.cumsum(new))
    return heights


def _name_of(choice: str) -> str:
    return legend_label(choice, NAME_WIDTH, NAME_LINES)


def _size(found: pd.DataFrame) -> tuple[float, float]:
    return panel()[0], lines(-_heights(found).min() + 5)


def _draw(axes: Axes, height: float, row: dict[Any, Any]) -> None:
    mean, low, high = row["mean"], row["low"], row["high"]
    marker: dict[str, Any] = {"markersize": 1.15 * medium().marker, "markeredgewidth": 0.7 * medium().line, "zorder": 3}
    if not row["seeds"]:
        paper, quiet = LIGHT.paper, LIGHT.quiet
        axes.plot([mean], [height], marker="d", color=quiet, markerfacecolor=paper, gid="reference", **marker)
        return
    sure = not np.isnan(low) and (low > 0 or high < 0)
    colour = COLOURS[0][0] if sure else LIGHT.quiet
    if not np.isnan(low):
        bar: dict[str, Any] = {"color": colour, "linewidth": medium().line, "solid_capstyle": "butt", "gid": "interval"}
        axes.plot([low, high], [height, height], **bar)
    face = colour if sure else LIGHT.paper
    axes.plot([mean], [height], marker="o", color=colour, markerfacecolor=face, gid="effect", **marker)
    axes.annotate(
        str(row["seeds"]), (1, height), xycoords=("axes fraction", "data"), va="center", ha="right",
        fontsize=0.82 * medium().text, color=LIGHT.quiet, gid="seeds",
    )  # fmt: skip


def _name(axes: Axes, found: pd.DataFrame, heights: np.ndarray) -> None:
    axes.set_yticks(heights, [_name_of(choice) for choice in found["choice"]])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(heights.min() - 1.2, 0)
    for first, axis in found["axis"].drop_duplicates().items():
        top = (
            heights[int(str(first))]
            + 1.05 * (1 + _name_of(str(found["choice"].iloc[int(str(first))])).count("\n")) / 2
            + 0.5
        )
        axes.annotate(
            str(axis).replace("_", " "), (0, top), xycoords=("axes fraction", "data"), va="center", ha="left",
            xytext=(3, 0), textcoords="offset points", fontweight="bold", fontsize=0.95 * medium().text,
            color=LIGHT.ink, gid="axis", path_effects=halo(axes),
        )  # fmt: skip


def _caption(found: pd.DataFrame) -> str:
    """The caption: what is averaged, and what the bars are."""
    said = ["Differences from the choice marked ◇, over rows that agree in everything else, including seed and steps."]
    if (found["pairs"] > found["seeds"]).any():
        said.append("Several pairs of one seed (other steps or fields) are averaged.")
    if (found["seeds"] > 1).any():
        said.append("Bars: 95 % interval over seeds (Student's t); hollow if it contains 0 or there is one seed.")
    else:
        said.append("With one seed, differences may be due to chance.")
    return " ".join(said)


def _alt(found: pd.DataFrame, name: str) -> str:
    columns = found[["axis", "choice", "reference", "mean", "seeds"]].astype({"seeds": int}).to_numpy().tolist()
    said = [
        f"{axis} {choice} instead of {reference}: {number(mean)} ({counted(seeds, 'seed')})"
        for axis, choice, reference, mean, seeds in columns
    ]
    return f"Paired differences in {name}. {'; '.join(said[:12])}."
