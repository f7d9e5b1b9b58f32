"""What do the images look like? The same labels and noise from one series to the next, real images on top."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mgbench.record import Layout
from mgbench.report.figures.picture import Picture, Stored
from mgbench.report.frame import POINT, REPEAT, score_names
from mgbench.report.measures import number, ranked
from mgbench.report.style import DPI, MOST_SERIES, ground, legend_label, theme

COLUMNS = 10
STEPS = (1, 2, 4, 8, 16, 32)
CELL = 60  # pixels that a small image is enlarged to, at least
LARGEST = 128  # pixels that a large image is reduced to, at most
GAP = 3


def pictures(stored: Stored) -> Iterator[Picture]:
    """The sheets: all series at one number of steps, and the best series at every number of steps."""
    frame, layout = stored.frame, stored.layout
    steps = sheet_steps(frame)
    at = f"at {number(steps)} steps" if steps is not None else "at their largest number of steps"
    yield Picture(
        "Samples",
        "samples",
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
            "Samples",
            "steps",
            f"{best}, by number of sampling steps",
            "The same labels and the same noise in every row.",
            f"Sheet of sample images of {best}, one row per number of sampling steps, real images on top.",
            lambda dark: steps_sheet(frame, layout, best, dark=dark),
            vector=False,
        )


@dataclass(frozen=True)
class Shown:
    """One row of a sheet: images uint8 [n,C,H,W] with the labels they were asked for (-1: none)."""

    name: str
    images: np.ndarray
    labels: np.ndarray


def sample_sheet(
    frame: pd.DataFrame, layout: Layout, steps: int | None = None, *, dark: bool = False, most: int = MOST_SERIES
) -> Figure | None:
    """A row of images per series at one number of steps (each series' largest where none is named), real images on top.

    A column shows one image index: the same label and the same noise for every series. None where no images are stored.
    """
    rows = _with_images(frame, layout, steps)
    rows = rows.sort_values([POINT], ascending=False, kind="stable").drop_duplicates("series")
    order = {name: place for place, name in enumerate(frame["series"].unique())}
    rows = rows.sort_values("series", key=lambda names: names.map(order), kind="stable")[:most]
    several = rows[POINT].nunique() > 1
    mixed = rows["labels"].nunique() > 1
    names = [
        str(row.series)
        + (f", {row.sampling_steps} steps" if several else "")
        + ("" if row.labels or not mixed else "\n(no labels)")
        for row in rows.itertuples()
    ]
    return _sheet(rows, names, layout, dark)


def steps_sheet(
    frame: pd.DataFrame, layout: Layout, series: str, steps: tuple[int, ...] = STEPS, *, dark: bool = False
) -> Figure | None:
    """A row of images per number of steps of one series, all with the same labels and noise; None without images."""
    rows = _with_images(frame[(frame["series"] == series) & frame[POINT].isin(steps)], layout, None)
    rows = rows.sort_values(POINT, kind="stable").drop_duplicates(POINT)
    names = [f"{count} step{'s' if count > 1 else ''}" for count in rows[POINT]]
    return _sheet(rows, names, layout, dark)


def sheet_steps(frame: pd.DataFrame) -> int | None:
    """The largest number of steps at which every series has a finished row; None where there is none."""
    done = frame[frame["status"] == "done"]
    shared = done.groupby(POINT)["series"].nunique()
    shared = shared[shared == done["series"].nunique()]
    return int(shared.index.max()) if len(shared) else None


def _with_images(frame: pd.DataFrame, layout: Layout, steps: int | None) -> pd.DataFrame:
    """Finished rows whose images are stored, of the first seed that any series has."""
    rows = frame[frame["status"] == "done"]
    rows = rows[rows[POINT] == steps] if steps is not None else rows
    rows = rows.sort_values(REPEAT, kind="stable").drop_duplicates(["series", POINT])
    return rows[np.array([(layout.run(key) / "images.npz").is_file() for key in rows["key"]], bool)]


def _sheet(rows: pd.DataFrame, names: list[str], layout: Layout, dark: bool) -> Figure | None:
    lines = []
    for name, key in zip(names, rows["key"], strict=True):
        if (arrays := _load(layout.run(key) / "images.npz")) is not None:
            lines.append(Shown(name, *arrays))
    if not lines:
        return None
    columns = _columns(lines)
    labels = _labels(lines, columns)
    picked = [Shown(line.name, *_pick(line, columns)) for line in lines]
    real = _load(layout.real(str(rows["data"].iloc[0])))
    if real is not None:
        picked.insert(0, Shown("real images", *_alike(real, labels)))
    return _draw(picked, labels, dark)


def _load(path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """The images and labels of a file; None where it is not there or not whole."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            images = arrays["images"]
            labels = arrays["labels"] if "labels" in arrays else np.full(len(images), -1)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return None
    return (images, labels) if images.ndim == 4 and len(images) == len(labels) > 0 else None


def _columns(lines: list[Shown]) -> np.ndarray:
    """Image indices to show: of the first row with labels the first image of each class, then whatever comes first."""
    labelled = next((line for line in lines if len(np.unique(line.labels)) > 1), lines[0])
    shortest = min(len(line.images) for line in lines)
    labels = labelled.labels[:shortest]
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
    """Real images with these labels, a different one for each column as far as there are."""
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


def _cell(images: np.ndarray) -> np.ndarray:
    """Images [n,C,H,W] as RGB [n,h,w,3], small ones enlarged by whole pixels and large ones thinned."""
    images = np.repeat(images, 3, axis=1) if images.shape[1] == 1 else images[:, :3]
    size = max(images.shape[2:])
    step, times = max(1, size // LARGEST), max(1, -(-CELL // size))
    return images[:, :, ::step, ::step].repeat(times, axis=2).repeat(times, axis=3).transpose(0, 2, 3, 1)


def _draw(lines: list[Shown], labels: np.ndarray, dark: bool) -> Figure:
    cells = [_cell(line.images) for line in lines]
    height, width = (max(cell.shape[axis] for cell in cells) + GAP for axis in (1, 2))
    real_gap = 10 if lines[0].name == "real images" and len(lines) > 1 else 0
    paper = tuple(int(ground(dark).paper[i : i + 2], 16) for i in (1, 3, 5))
    board = np.full((height * len(lines) + real_gap, width * len(labels), 3), paper, np.uint8)
    tops = [row * height + (real_gap if row else 0) for row in range(len(lines))]
    for top, cell in zip(tops, cells, strict=True):
        for column, image in enumerate(cell):
            board[top : top + image.shape[0], column * width : column * width + image.shape[1]] = image
    return _frame(board, [line.name for line in lines], labels, np.array(tops), (height, width), dark)


def _frame(
    board: np.ndarray, names: list[str], labels: np.ndarray, tops: np.ndarray, cell: tuple[int, int], dark: bool
) -> Figure:
    """The board with names at its left and classes on top, every pixel of it one pixel of the figure."""
    names = ["\n".join(legend_label(line, 36, 4) for line in name.splitlines()) for name in names]
    left = 24 + 7 * max(len(line) for name in names for line in name.splitlines())
    top, edge = 40, 8
    width, height = left + board.shape[1] + edge, top + board.shape[0] + edge
    with theme(dark):
        figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
        axes = figure.add_axes((left / width, edge / height, board.shape[1] / width, board.shape[0] / height))
        axes.imshow(board, interpolation="none", aspect="auto")
        axes.set_yticks(tops + (cell[0] - GAP) / 2, names)
        classes = ["" if label < 0 else str(label) for label in labels]
        axes.set_xticks(np.arange(len(labels)) * cell[1] + (cell[1] - GAP) / 2, classes)
        axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False, labelsize=10)
        if any(classes):
            figure.text(
                (left - 7) / width, 1 - (top - 9) / height, "class", ha="right", va="center", color=ground(dark).quiet
            )
        axes.grid(False)
        axes.spines[:].set_visible(False)
    return figure


def _best_series(frame: pd.DataFrame) -> str | None:
    """The series to show step by step: the best of the first score, or the first that finished."""
    for metric in score_names(frame):
        best = ranked(frame, metric)
        if len(best):
            return str(best["series"].iloc[0])
    done = frame.loc[frame["status"] == "done", "series"]
    return str(done.iloc[0]) if len(done) else None
