"""Sheets of samples with the same labels and noise for every series, and real images on top."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mgbench.report.figures.image_grid import Shown, draw_image_grid, load_images
from mgbench.report.figures.picture import Picture
from mgbench.report.frame import POINT, REPEAT, of_images, taken_steps
from mgbench.report.measures import ranked, ranked_scores
from mgbench.report.names import short_names
from mgbench.report.stored import Stored
from mgbench.report.style import MOST_SERIES
from mgbench.report.table import steps_of
from mgbench.results.layout import Layout
from mgbench.results.wording import counted

COLUMNS = 10
STEPS = (1, 2, 4, 8, 16, 32)
IMAGES, NEAREST = "images.npz", "nearest.npz"


def pictures(stored: Stored) -> Iterator[Picture]:
    """The sheets: all series at one number of steps, and the best series at every number of steps."""
    frame, layout = stored.frame, stored.layout
    steps = sheet_steps(frame)
    at = f"at {said_steps(frame, steps)}" if steps is not None else "at their largest number of steps"
    beneath = " Below each row: the nearest training images." if stored.choices.neighbours else ""
    yield Picture(
        "Samples",
        "samples",
        f"Samples {at}",
        f"Every column has the same label and noise in all rows; methods trained without labels ignore the label.{beneath}",
        f"Sheet of sample images {at}, a row per method, real images of the same labels on top.",
        partial(sample_sheet, frame, layout, steps, neighbours=stored.choices.neighbours),
        vector=False,
    )
    best = _best_series(frame)
    if best is not None:
        yield Picture(
            "Samples",
            "steps",
            f"{best}, by number of sampling steps",
            "The same labels and the same noise in every row.",
            f"Sheet of sample images of {best}, one row per number of sampling steps, real images on top.",
            partial(steps_sheet, frame, layout, best),
            vector=False,
        )


def said_steps(frame: pd.DataFrame, asked: int) -> str:
    """The steps taken by finished rows with these requested steps: "16 steps", "14 to 16 steps (32 asked for)"."""
    rows = of_images(frame)
    taken = taken_steps(rows[(rows["status"] == "done") & (rows[POINT] == asked)]).round()
    low, high = (int(taken.min()), int(taken.max())) if len(taken) else (asked, asked)
    said = f"{low}" if low == high else f"{low} to {high}"
    return f"{said} step{'s' if high > 1 else ''}" + ("" if low == high == asked else f" ({asked} asked for)")


def sample_sheet(
    frame: pd.DataFrame,
    layout: Layout,
    steps: int | None = None,
    *,
    most: int = MOST_SERIES,
    neighbours: bool = False,
) -> Figure | None:
    """A row of images per series at one number of steps (each series' largest where none is named), real images on top.

    A column shows one image index: the same label and the same noise for every series. With `neighbours`, the training
    images whose features are nearest stand beneath each row. None where no images are stored.
    """
    rows = one_per_series(frame, layout, steps, IMAGES)[:most]
    several = rows[POINT].nunique() > 1
    mixed = rows["labels"].nunique() > 1
    short = short_names(rows["series"])
    names = [
        short[str(row.series)]
        + (f", {counted(round(taken), 'step')}" if several else "")
        + ("" if row.labels or not mixed else "\n(no labels)")
        for row, taken in zip(rows.itertuples(), taken_steps(rows), strict=True)
    ]
    return _sheet(rows, names, layout, neighbours)


def steps_sheet(frame: pd.DataFrame, layout: Layout, series: str, steps: tuple[int, ...] = STEPS) -> Figure | None:
    """A row of images per number of steps of one series, all with the same labels and noise; None without images."""
    rows = _stored(frame[(frame["series"] == series) & frame[POINT].isin(steps)], layout, None, IMAGES)
    rows = rows.sort_values(POINT, kind="stable").drop_duplicates(POINT)
    names = [
        f"{steps_of(asked, taken)} step{'s' if asked > 1 else ''}"
        for asked, taken in zip(rows[POINT], taken_steps(rows), strict=True)
    ]
    return _sheet(rows, names, layout)


def one_per_series(frame: pd.DataFrame, layout: Layout, steps: int | None, file: str) -> pd.DataFrame:
    """A finished row with a stored file for each series, at a number of steps or at its largest, in the order of the frame."""
    rows = _stored(frame, layout, steps, file)
    rows = rows.sort_values([POINT], ascending=False, kind="stable").drop_duplicates("series")
    order = {name: place for place, name in enumerate(frame["series"].unique())}
    rows = rows.sort_values("series", key=lambda names: names.map(order), kind="stable")
    return rows.head(MOST_SERIES)


def sheet_steps(frame: pd.DataFrame) -> int | None:
    """The largest number of steps at which every series has a finished row; None where there is none."""
    return max(shared_steps(frame), default=None)


def shared_steps(frame: pd.DataFrame) -> list[int]:
    """The numbers of steps at which every series has a finished row, rising."""
    done = of_images(frame)
    done = done[done["status"] == "done"]
    shared = done.groupby(POINT)["series"].nunique()
    shared = shared[shared == done["series"].nunique()]
    return sorted(map(int, shared.index))


def _stored(frame: pd.DataFrame, layout: Layout, steps: int | None, file: str) -> pd.DataFrame:
    """Finished rows with a stored file, of the first seed of all series."""
    rows = of_images(frame)
    rows = rows[rows["status"] == "done"]
    rows = rows[rows[POINT] == steps] if steps is not None else rows
    rows = rows.sort_values(REPEAT, kind="stable").drop_duplicates(["series", POINT])
    return rows[np.array([(layout.run(key) / file).is_file() for key in rows["key"]], bool)]


def _sheet(rows: pd.DataFrame, names: list[str], layout: Layout, neighbours: bool = False) -> Figure | None:
    found = [(name, key, load_images(layout.run(key) / IMAGES)) for name, key in zip(names, rows["key"], strict=True)]
    lines = [Shown(name, *arrays) for name, _, arrays in found if arrays is not None]
    if not lines:
        return None
    near = [
        load_images(layout.run(key) / NEAREST) if neighbours else None for _, key, arrays in found if arrays is not None
    ]
    columns = _columns(lines, min((len(arrays[0]) for arrays in near if arrays is not None), default=None))
    labels = _labels(lines, columns)
    picked: list[Shown] = []
    for line, arrays in zip(lines, near, strict=True):
        picked.append(Shown(line.name, *_pick(line, columns), apart=neighbours and bool(picked)))
        if arrays is not None:
            picked.append(Shown("nearest in training", arrays[0][columns], arrays[1][columns]))
    real = load_images(layout.real(str(rows["data"].iloc[0])))
    if real is not None:
        picked[0] = replace(picked[0], apart=True)
        picked.insert(0, Shown("real images", *_alike(real, labels)))
    return draw_image_grid(picked, ["" if label < 0 else str(label) for label in labels], "class")


def _columns(lines: list[Shown], most: int | None = None) -> np.ndarray:
    """Indices of images to show: the first image of each class in the first row with labels, then the first others."""
    labelled = next((line for line in lines if len(np.unique(line.labels)) > 1), lines[0])
    shortest = min(len(line.images) for line in lines)
    labels = labelled.labels[:shortest][:most]
    _, first = np.unique(labels, return_index=True)
    if len(first) > COLUMNS:  # of many classes, spread over all of them
        first = first[np.linspace(0, len(first) - 1, COLUMNS).astype(int)]
    others = np.setdiff1d(np.arange(len(labels)), first)[: COLUMNS - len(first)]
    chosen = np.concatenate([first, others]).astype(int)
    return chosen[np.argsort(labels[chosen], kind="stable")]


def _labels(lines: list[Shown], columns: np.ndarray) -> np.ndarray:
    labelled = next((line for line in lines if len(np.unique(line.labels)) > 1), lines[0])
    chosen: np.ndarray = labelled.labels[columns]
    return chosen


def _pick(line: Shown, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return line.images[columns], line.labels[columns]


def _alike(real: tuple[np.ndarray, np.ndarray], labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Real images with these labels, distinct as far as possible."""
    images, known = real
    seen: dict[int, int] = {}
    chosen = []
    for place, label in enumerate(labels):
        same = np.flatnonzero(known == label)
        pool = same if len(same) else np.arange(len(images))
        turn = seen.get(int(label), 0) if len(same) else place
        seen[int(label)] = turn + 1
        chosen.append(pool[turn % len(pool)])
    return images[chosen], known[chosen]


def _best_series(frame: pd.DataFrame) -> str | None:
    """The series to show step by step: the best of the first score, or the first that finished."""
    for metric in ranked_scores(of_images(frame)):
        best = ranked(frame, metric)
        if len(best):
            return str(best["series"].iloc[0])
    done = frame.loc[frame["status"] == "done", "series"]
    return str(done.iloc[0]) if len(done) else None
