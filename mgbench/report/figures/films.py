"""Tokens revealed step by step: as a strip, and animated."""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from mgbench.report.figures.image_grid import Shown, as_cells, board, draw_image_grid
from mgbench.report.figures.picture import Picture
from mgbench.report.figures.sheets import one_per_series, said_steps, sheet_steps
from mgbench.report.names import short_names
from mgbench.report.stored import Stored
from mgbench.report.style import theme
from mgbench.results.layout import Layout

FILE = "film.npz"
COLUMNS, IMAGES = 9, 8
MOST_FRAMES, MILLISECONDS, REST = 24, 180, 1600
# A checkerboard of two greys, which marks masked tokens.
MASKED = (np.array((0xB4, 0xBD, 0xCC), np.uint8), np.array((0x96, 0xA1, 0xB4), np.uint8))
CHECKER = 4


@dataclass(frozen=True)
class Film:
    """The states of a few images: images uint8 [S,n,C,H,W], mask [S,n,N], the number of each step [S], labels [n]."""

    name: str
    images: np.ndarray
    mask: np.ndarray
    step: np.ndarray
    labels: np.ndarray
    grid: tuple[int, int] | None

    def at(self, share: float) -> int:
        """The index of the state at this share of the duration."""
        return round(share * (len(self.images) - 1))

    def cells(self, state: int) -> np.ndarray:
        """The images of a state as cells [n,h,w,3], masked tokens covered where the tokens form a grid."""
        cells = as_cells(self.images[state])
        return cells if self.grid is None else _covered(cells, self.mask[state].reshape(-1, *self.grid))


def pictures(stored: Stored) -> Iterator[Picture]:
    """The strip of all series at one number of steps, and its animation."""
    frame, layout = stored.frame, stored.layout
    steps = sheet_steps(frame)
    names = [film.name for film in read_films(frame, layout, steps)]
    if names:
        yield Picture(
            "Samples",
            "film",
            "Step by step" + (f", in {said_steps(frame, steps)}" if steps else ""),
            "The state after some of the steps; chequered tokens are masked. The same label and noise in every row.",
            f"Film strips, one row each of {', '.join(names)}: an image from all tokens masked to finished.",
            partial(film_strip, frame, layout, steps),
            vector=False,
            animate=partial(film_animation, frame, layout, steps),
        )


def read_films(frame: pd.DataFrame, layout: Layout, steps: int | None = None) -> list[Film]:
    """The stored films, one per series, at the given number of steps or at the largest of the series."""
    rows = one_per_series(frame, layout, steps, FILE)
    names = short_names(rows["series"])
    found = (_film(name, layout, str(key)) for name, key in zip(names.values(), rows["key"], strict=True))
    return [film for film in found if film is not None]


def _film(name: str, layout: Layout, key: str) -> Film | None:
    """One film; None where it is not whole."""
    try:
        with np.load(layout.run(key) / FILE, allow_pickle=False) as arrays:
            images, mask, step, labels = (arrays[part] for part in ("images", "mask", "step", "labels"))
            height, width = arrays["grid"].tolist() if "grid" in arrays else (0, 0)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return None
    whole = images.ndim == 5 and len(images) == len(mask) == len(step) > 0 and images.shape[1] == mask.shape[1]
    grid = (height, width) if whole and height * width == mask.shape[2] else None
    return Film(name, images, mask, step, labels, grid) if whole else None


def film_strip(frame: pd.DataFrame, layout: Layout, steps: int | None = None, image: int = 0) -> Figure | None:
    """A row per series: one image after some of its steps, from the first to the last; None where no film is stored."""
    films = read_films(frame, layout, steps)
    if not films:
        return None
    shares = np.linspace(0, 1, min(COLUMNS, max(len(film.images) for film in films)))
    lines = [
        Shown(
            film.name,
            np.stack([film.cells(film.at(share))[image % film.images.shape[1]] for share in shares]),
            film.labels,
        )
        for film in films
    ]
    taken = {tuple(int(film.step[film.at(share)]) for share in shares) for film in films}
    heads = [str(step) for step in taken.pop()] if len(taken) == 1 else [f"{share:.0%}" for share in shares]
    return draw_image_grid(lines, heads, "step" if heads[-1].isdigit() else "of the steps")


def film_animation(frame: pd.DataFrame, layout: Layout, steps: int | None = None) -> bytes | None:
    """The films of all series beside each other as an animated GIF, a row per series; None where no film is stored."""
    films = read_films(frame, layout, steps)
    if not films:
        return None
    count = min(MOST_FRAMES, max(len(film.images) for film in films))
    frames = list(_frames(films, np.linspace(0, 1, count)))
    buffer = io.BytesIO()
    palette = frames[-1].quantize(128, dither=Image.Dither.NONE)
    shown = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in frames]
    durations = [MILLISECONDS] * (count - 1) + [REST]
    shown[0].save(buffer, "GIF", save_all=True, append_images=shown[1:], duration=durations, loop=0, optimize=True)
    return buffer.getvalue()


def _frames(films: list[Film], shares: np.ndarray) -> Iterator[Image.Image]:
    """All films at these shares of their duration, in one figure that is drawn again with other images."""
    labels = max((film.labels[:IMAGES] for film in films), key=lambda labels: len(np.unique(labels)))
    heads = ["" if label < 0 else str(label) for label in labels]
    with theme():
        figure = draw_image_grid(_lines(films, 0.0), heads, "class")
        canvas = FigureCanvasAgg(figure)
        for share in shares:
            figure.axes[0].images[0].set_data(board(_lines(films, share), len(heads)))
            canvas.draw()  # type: ignore[no-untyped-call]
            pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
            yield Image.fromarray(pixels).convert("RGB")


def _lines(films: list[Film], share: float) -> list[Shown]:
    return [Shown(film.name, film.cells(film.at(share))[:IMAGES], film.labels[:IMAGES]) for film in films]


def _covered(cells: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Cells [n,h,w,3] with a checker over the tokens that are masked [n,rows,columns]."""
    height, width = cells.shape[1:3]
    rows, columns = (
        np.arange(size) * count // size for size, count in zip((height, width), mask.shape[1:], strict=True)
    )
    hidden = mask[:, rows][:, :, columns]
    odd = (np.add.outer(np.arange(height) // CHECKER, np.arange(width) // CHECKER) % 2)[..., None]
    return np.where(hidden[..., None], np.where(odd, *MASKED), cells)
