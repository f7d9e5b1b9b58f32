"""The trade-off figures of a report: scores against costs."""

from collections.abc import Iterator
from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from mgbench.report.figures.picture import Picture
from mgbench.report.figures.points import FIRST, Tradeoff, panels
from mgbench.report.figures.tradeoff import MOST_PANELS, Panels
from mgbench.report.frame import REPEAT, of_images, score_names
from mgbench.report.labels import family
from mgbench.report.measures import cost_axis, cost_short, higher_is_better, number, ranked, score_name, slug
from mgbench.report.stored import Stored
from mgbench.report.style import MOST_SERIES, looks
from mgbench.report.summary import comparable, floor_of, reconstruction_floors, sampled_scores

SECTION = "Trade-offs"
# Costs on the horizontal axis, in this order, with their names in file names.
AGAINST = {
    "nfe": "nfe",
    "token_forwards": "token-forwards",
    "flops_per_image": "flops",
    "head_evaluations": "head",
    "seconds_per_image": "seconds",
    "train_flops": "training-flops",
    "train_seconds": "training-seconds",
}


def pictures(stored: Stored) -> Iterator[Picture]:
    """The first score against every cost that differs between rows, and the other scores against network forwards.

    Scores that do not depend on sampling are left out.
    """
    frame = stored.frame
    for place, metric in enumerate(sampled_scores(frame)):
        rows = comparable(frame, metric, allow_mismatch=True)
        for cost in (name for name in AGAINST if name in rows):
            values = pd.to_numeric(rows[cost], errors="coerce").dropna()
            if (cost == FIRST or place == 0) and len(values) and (cost == FIRST or values.nunique() > 1):
                yield _picture(stored, metric, cost, place == 0)


def _picture(stored: Stored, metric: str, cost: str, first: bool) -> Picture:
    frame, by, word = stored.frame, stored.choices.by, AGAINST[cost]
    drawn = Panels.of(frame, Tradeoff(metric, cost, allow_mismatch=True), by)
    return Picture(
        SECTION,
        f"{_short(frame, metric)}-versus-{word}",
        f"{score_name(frame, metric)} against {cost_axis(cost).partition(' (')[0]}",
        _caption(drawn) + _which(stored, metric),
        _alt(frame, metric, cost),
        partial(_draw, drawn, by),
        view=cost_short(cost) if first else score_name(frame, metric),
    )


def _draw(drawn: Panels, by: str) -> Figure:
    return drawn.draw(None if by else looks(drawn.frame))


def _caption(drawn: Panels) -> str:
    """Explanations of the marks in the figure."""
    metric, found = drawn.asked.metric, [part for _, part in drawn.parts]
    said = ["Numbers at points: sampling steps taken."]
    if any(part.summary["low"].notna().any() for part in found):
        seeds = drawn.rows[REPEAT].nunique()
        said.append(f"Bands: 95 % interval of the mean over {seeds} seeds (Student's t).")
    if any(len(part.front) > 1 for part in found):
        said.append("Pale step: the Pareto front.")
    if any(len(part.unsure) for part in found):
        said.append("Dotted rings: points that may or may not be on it, given the variation between seeds.")
    if floor_of(drawn.frame, metric) is not None:
        said.append("Dashed: as many held-out real images.")
    if reconstruction_floors(drawn.frame, metric, drawn.rows):
        said.append("Dotted: real images after the tokenizer, which no method with those tokens should beat.")
    return " ".join(said)


def _which(stored: Stored, metric: str) -> str:
    """A remark if a field has more values than there are panels."""
    by = stored.choices.by
    values = len(panels(comparable(stored.frame, metric, allow_mismatch=True), by)) if by else 0
    return f" Of {values:,} values of {by}, the first {MOST_PANELS}." if values > MOST_PANELS else ""


def _alt(frame: pd.DataFrame, metric: str, cost: str) -> str:
    best = ranked(frame, metric, cost).drop_duplicates("series")[:MOST_SERIES]
    word = "best " if higher_is_better(frame, metric) is not None else ""
    said = [
        f"{row['series']}: {word}{number(row['mean'])} at {cost} {number(row['cost'])}, {row['taken']:.0f} steps"
        for _, row in best.iterrows()
    ]
    kind = f"Line chart of {score_name(frame, metric)} against {cost_axis(cost)}, one line per method"
    return f"{kind}. {'; '.join(said)}."


def _short(frame: pd.DataFrame, metric: str) -> str:
    """The metric in a file name; with its extractor only where another has the same family."""
    alone = sum(family(name) == family(metric) for name in score_names(of_images(frame))) == 1
    return slug(family(metric)) if alone else slug(metric)
