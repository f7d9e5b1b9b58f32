"""How do all figures look? One theme, light and dark, and for every series one colour, marker and dash."""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.lines import Line2D

# After Okabe and Ito's colours, which people with any colour vision tell apart, in an order that alternates in tone;
# each is given for a light and for a dark ground.
COLOURS = (
    ("#0072b2", "#5ab4e8"),
    ("#d55e00", "#ff8a4c"),
    ("#009e73", "#2fd0a5"),
    ("#b4558f", "#e79ccb"),
    ("#b87f00", "#f0c04a"),
    ("#3f3f46", "#d4d4d8"),
    ("#2b9ad3", "#9bd7ff"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
DASHES: tuple[Any, ...] = ("", (4, 1.5), (1, 1), (6, 1.5, 1.5, 1.5), (3, 1, 1, 1, 1, 1))
MOST_SERIES = 12
DPI = 96  # a CSS pixel is a 96th of an inch


@dataclass(frozen=True)
class Ground:
    """The colours of everything that is not data."""

    paper: str
    ink: str
    quiet: str
    grid: str


LIGHT = Ground(paper="#ffffff", ink="#1c1f24", quiet="#5c6470", grid="#e4e7ec")
DARK = Ground(paper="#191d24", ink="#e8eaee", quiet="#a3abb8", grid="#2d333d")


def ground(dark: bool) -> Ground:
    """The colours around the data on a light or a dark page."""
    return DARK if dark else LIGHT


@dataclass(frozen=True)
class Look:
    """How one series is drawn."""

    colour: str
    marker: str
    dashes: Any

    def handle(self, marker: bool = True) -> Line2D:
        """The piece of line that stands for the series in a legend."""
        line = Line2D([], [], color=self.colour, marker=self.marker if marker else "", markersize=6.5, linewidth=2)
        if self.dashes:
            line.set_dashes(self.dashes)
        return line


def looks(frame: pd.DataFrame, dark: bool = False) -> dict[str, Look]:
    """How each series of the frame is drawn, the same in every figure that is given these looks."""
    shade = int(dark)
    return {
        str(name): Look(COLOURS[i % len(COLOURS)][shade], MARKERS[i % len(MARKERS)], DASHES[i % len(DASHES)])
        for i, name in enumerate(frame["series"].unique())
    }


@contextmanager
def theme(dark: bool = False, bare: bool = False) -> Iterator[None]:
    """Draw in the house style inside this block and leave matplotlib's settings as they were.

    `bare` keeps the caller's style (who brought their own axes) except that a dollar sign in a name is not mathematics.
    """
    colours = ground(dark)
    settings: Any = {"text.parse_math": False}
    if not bare:
        settings |= {
            "figure.dpi": DPI, "figure.constrained_layout.h_pad": 0.08, "svg.hashsalt": "mgbench",
            "font.size": 11, "font.family": "sans-serif",
            "figure.facecolor": colours.paper, "axes.facecolor": colours.paper, "savefig.facecolor": "auto",
            "text.color": colours.ink, "axes.labelcolor": colours.ink, "axes.titlecolor": colours.ink,
            "axes.titlesize": 11.5, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.titlepad": 9,
            "axes.edgecolor": colours.quiet, "axes.linewidth": 0.8,
            "axes.spines.top": False, "axes.spines.right": False,
            "axes.grid": True, "axes.axisbelow": True, "grid.color": colours.grid, "grid.linewidth": 0.8,
            "xtick.color": colours.quiet, "ytick.color": colours.quiet,
            "xtick.labelcolor": colours.ink, "ytick.labelcolor": colours.ink,
            "legend.frameon": False, "legend.fontsize": 10.5, "lines.linewidth": 2,
        }  # fmt: skip
    with mpl.rc_context(settings):
        yield


def legend_label(name: str, width: int = 48, most: int = 5) -> str:
    """A series' name for a legend: wrapped where long; "_" at the front, which matplotlib would hide, is kept."""
    lines = textwrap.wrap(name, width, break_long_words=True) or [" "]
    shown = "\n".join(lines[:most]) + (" …" if len(lines) > most else "")
    return " " + shown if shown.startswith("_") else shown
