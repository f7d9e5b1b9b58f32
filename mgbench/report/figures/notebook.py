"""Figures that a notebook shows by itself, and the axes that a figure is drawn on."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mgbench.report.style import panel, theme


class NotebookFigure(Figure):
    """A figure with a picture for notebooks.

    Notebooks learn how to show a plain `Figure` only when pyplot draws its first one, and show its name until then.
    """

    def _repr_png_(self) -> bytes:
        """The figure as PNG; notebooks call it."""
        file = io.BytesIO()
        self.savefig(file, format="png", bbox_inches="tight")
        return file.getvalue()


@contextmanager
def drawn_on(ax: Axes | None, size: Callable[[], tuple[float, float]] = panel) -> Iterator[Axes]:
    """The caller's axes in the caller's style or, without any, those of a new figure in the style of mgbench.

    `size` gives width and height of the new figure in inches.
    """
    with theme(bare=ax is not None):
        yield ax if ax is not None else NotebookFigure(figsize=size(), layout="constrained").subplots()
