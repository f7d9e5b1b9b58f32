"""Figures that a notebook shows by itself."""

import io

from matplotlib.figure import Figure


class NotebookFigure(Figure):
    """A figure with a picture for notebooks.

    Notebooks learn how to show a plain `Figure` only when pyplot draws its first one, and show its name until then.
    """

    def _repr_png_(self) -> bytes:
        """The figure as PNG; notebooks call it."""
        file = io.BytesIO()
        self.savefig(file, format="png", bbox_inches="tight")
        return file.getvalue()
