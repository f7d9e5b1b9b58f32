"""Which pictures does a report hold? Each with its file name, its words, and how it is drawn."""

import base64
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from mgbench.record import Layout
from mgbench.report.figures import metric_panels
from mgbench.report.frame import POINT, score_names
from mgbench.report.measures import cost_axis, family, number, ranked, score_name, slug
from mgbench.report.sheets import sample_sheet, sheet_steps, steps_sheet
from mgbench.report.style import DPI, MOST_SERIES, looks, theme
from mgbench.report.summary import comparable, floor_of, summarise
from mgbench.report.training import training_panels

# File names say "seconds" where records say "seconds_per_image".
AGAINST = {"nfe": "nfe", "seconds_per_image": "seconds"}


@dataclass(frozen=True)
class Picture:
    """One picture of the report; `draw(dark)` gives None where there is nothing to show."""

    file: str
    title: str
    caption: str
    alt: str
    draw: Callable[[bool], Figure | None]
    vector: bool = True


def trade_offs(frame: pd.DataFrame, allow_mismatch: bool = False) -> Iterator[Picture]:
    """Every score against the network forwards, and the first of them against time too."""
    for place, metric in enumerate(score_names(frame)):
        for cost, word in AGAINST.items():
            if cost in frame and (cost == "nfe" or place == 0):
                rows = comparable(frame, metric, allow_mismatch)
                if len(rows) and rows[cost].notna().any():
                    yield _trade_off(frame, metric, cost, f"figures/{_short(frame, metric)}-versus-{word}.png")


def training(frame: pd.DataFrame, layout: Layout) -> Iterator[Picture]:
    """The training curves."""
    series = ", ".join(map(str, frame["series"].unique()[:MOST_SERIES]))
    yield Picture(
        "figures/training.png",
        "Training loss",
        "Moving average, mean over seeds. Losses of different heads or weightings measure different things: "
        "compare their shapes, not their heights.",
        f"Line chart of the smoothed training loss against the training step for {series}.",
        lambda dark: training_panels(frame, layout, styles=looks(frame, dark), dark=dark),
    )


def samples(frame: pd.DataFrame, layout: Layout) -> Iterator[Picture]:
    """The sheets: all series at one number of steps, and the best series at every number of steps."""
    steps = sheet_steps(frame)
    at = f"at {number(steps)} steps" if steps is not None else "at their largest number of steps"
    yield Picture(
        "sheets/samples.png",
        f"Samples {at}",
        "Every column has the same label and the same noise in all rows; "
        "methods trained without labels do not see the label.",
        f"Sheet of sample images {at}, a row per method, real images of the same labels on top.",
        lambda dark: sample_sheet(frame, layout, steps, dark=dark),
        vector=False,
    )
    best = _best_series(frame)
    if best is not None:
        yield Picture(
            "sheets/steps.png",
            f"{best}, by number of sampling steps",
            "The same labels and the same noise in every row.",
            f"Sheet of sample images of {best}, one row per number of sampling steps, real images on top.",
            lambda dark: steps_sheet(frame, layout, best, dark=dark),
            vector=False,
        )


def as_png(figure: Figure, dark: bool = False) -> bytes:
    """A figure as PNG with two pixels per CSS pixel."""
    buffer = io.BytesIO()
    with theme(dark):
        figure.savefig(buffer, format="png", dpi=2 * DPI)
    return buffer.getvalue()


def as_data_uri(figure: Figure, vector: bool, dark: bool = False) -> str:
    """A figure as the address of an image that holds itself: drawn in lines, or in pixels."""
    if not vector:
        return "data:image/png;base64," + base64.b64encode(as_png(figure, dark)).decode()
    buffer = io.BytesIO()
    with theme(dark):
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()


def _trade_off(frame: pd.DataFrame, metric: str, cost: str, file: str) -> Picture:
    return Picture(
        file,
        f"{score_name(metric)} against {cost_axis(cost).partition(' (')[0]}",
        _caption(frame, metric),
        _alt(frame, metric, cost),
        partial(_draw_trade_off, frame, metric, cost),
    )


def _draw_trade_off(frame: pd.DataFrame, metric: str, cost: str, dark: bool) -> Figure:
    return metric_panels(frame, metric, cost, styles=looks(frame, dark), allow_mismatch=True, dark=dark)


def _caption(frame: pd.DataFrame, metric: str) -> str:
    summary = summarise(frame, metric, allow_mismatch=True)
    band = "Bands: 95 % interval of the mean over seeds (Student's t). " if summary["low"].notna().any() else ""
    floor = "Dashed: as many held-out real images." if floor_of(frame, metric) is not None else ""
    return f"Numbers at points: sampling steps. {band}{floor}".strip()


def _alt(frame: pd.DataFrame, metric: str, cost: str) -> str:
    best = ranked(frame, metric, cost).drop_duplicates("series")[:MOST_SERIES]
    lines = [
        f"{row['series']}: best {number(row['mean'])} at {cost} {number(row['cost'])}, {row[POINT]:.0f} steps"
        for _, row in best.iterrows()
    ]
    kind = f"Line chart of {score_name(metric)} against {cost_axis(cost)}, one line per method"
    return f"{kind}. {'; '.join(lines)}."


def _short(frame: pd.DataFrame, metric: str) -> str:
    """The metric in a file name; with its extractor only where another has the same family."""
    alone = sum(family(name) == family(metric) for name in score_names(frame)) == 1
    return slug(family(metric)) if alone else slug(metric)


def _best_series(frame: pd.DataFrame) -> str | None:
    """The series to show step by step: the best of the first score, or the first that finished."""
    for metric in score_names(frame):
        best = ranked(frame, metric)
        if len(best):
            return str(best["series"].iloc[0])
    done = frame.loc[frame["status"] == "done", "series"]
    return str(done.iloc[0]) if len(done) else None
