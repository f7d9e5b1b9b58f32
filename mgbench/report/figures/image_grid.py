"""Grids of images with row names and column heads, without interpolation of pixels."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mgbench.report.figures.notebook import NotebookFigure
from mgbench.report.style import DPI, LIGHT, legend_label, medium, theme

CELL = 60  # minimum displayed size of small images, in pixels
LARGEST = 128  # maximum displayed size of large images, in pixels
GAP, BREAK = 3, 10


@dataclass(frozen=True)
class Shown:
    """One row of a grid: images uint8 [n,C,H,W], or cells [n,h,w,3], with their requested labels (-1: none).

    `apart` leaves a gap above.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    apart: bool = False


def load_images(path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """The images and labels in a file; None if it is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            images = arrays["images"]
            labels = arrays["labels"] if "labels" in arrays else np.full(len(images), -1)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return None
    return (images, labels) if images.ndim == 4 and len(images) == len(labels) > 0 else None


def as_cells(images: np.ndarray) -> np.ndarray:
    """Images [n,C,H,W] as RGB [n,h,w,3], small ones enlarged by whole pixels and large ones thinned."""
    images = np.repeat(images, 3, axis=1) if images.shape[1] == 1 else images[:, :3]
    size = max(images.shape[2:])
    step, times = max(1, size // LARGEST), max(1, -(-CELL // size))
    return images[:, :, ::step, ::step].repeat(times, axis=2).repeat(times, axis=3).transpose(0, 2, 3, 1)


def draw_image_grid(lines: list[Shown], heads: list[str], corner: str = "") -> Figure:
    """Draw rows of images with one head per column; `corner` labels the heads."""
    cells = [_cells(line) for line in lines]
    return _frame(board(lines, len(heads)), [line.name for line in lines], heads, corner, *_places(lines, cells))


def board(lines: list[Shown], columns: int) -> np.ndarray:
    """The pixels of a grid, RGBA uint8 [h,w,4]."""
    cells = [_cells(line) for line in lines]
    tops, (height, width) = _places(lines, cells)
    # Transparent gaps, for any background.
    pixels = np.zeros((tops[-1] + height, width * columns, 4), np.uint8)
    for top, cell in zip(tops, cells, strict=True):
        for column, image in enumerate(cell):
            spot = pixels[top : top + image.shape[0], column * width : column * width + image.shape[1]]
            spot[..., :3], spot[..., 3] = image, 255
    return pixels


def _cells(line: Shown) -> np.ndarray:
    return line.images if line.images.shape[-1] == 3 else as_cells(line.images)


def _places(lines: list[Shown], cells: list[np.ndarray]) -> tuple[np.ndarray, tuple[int, int]]:
    """The top of every row [n], and the height and width that a cell takes with the gap after it, in pixels."""
    height, width = (max(cell.shape[axis] for cell in cells) + GAP for axis in (1, 2))
    return np.arange(len(lines)) * height + np.cumsum([BREAK * line.apart for line in lines]), (height, width)


def _frame(
    pixels: np.ndarray,
    names: list[str],
    heads: list[str],
    corner: str,
    tops: np.ndarray,
    cell: tuple[int, int],
) -> Figure:
    """The grid with names at the left and heads on top; on screen, each of its pixels is one pixel of the figure."""
    names = ["\n".join(legend_label(line, 36, 4) for line in name.splitlines()) for name in names]
    text = medium().text * DPI / 72
    left = text * (1.2 + 0.57 * max(len(line) for name in names for line in name.splitlines()))
    top, edge = (2.3 if any(heads) else 0.6) * text, 8
    scale = min(1.0, (medium().page * DPI - left - edge) / pixels.shape[1])
    across, down = pixels.shape[1] * scale, pixels.shape[0] * scale
    width, height = left + across + edge, top + down + edge
    with theme():
        figure = NotebookFigure(figsize=(width / DPI, height / DPI), dpi=DPI)
        axes = figure.add_axes((left / width, edge / height, across / width, down / height))
        axes.imshow(pixels, interpolation="none", aspect="auto")
        axes.set_yticks(tops + (cell[0] - GAP) / 2, names)
        axes.set_xticks(np.arange(len(heads)) * cell[1] + (cell[1] - GAP) / 2, heads)
        axes.tick_params(
            length=0, top=True, labeltop=True, bottom=False, labelbottom=False, labelsize=0.92 * medium().text
        )
        if any(heads):
            at = ((left - 0.5 * text) / width, 1 - (top - 0.65 * text) / height)
            figure.text(*at, corner, ha="right", va="center", color=LIGHT.quiet)
        axes.grid(False)
        axes.spines[:].set_visible(False)
    return figure
