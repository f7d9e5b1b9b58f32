"""Style of all figures, for screen and paper, with a colour, marker and dash for every series.

Figures are drawn for a light background. Every colour has a replacement for dark backgrounds (`on_dark`), so that a
page uses one drawing for both.
"""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import astuple, dataclass
from functools import cache
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.colors import to_hex, to_rgb
from matplotlib.lines import Line2D

from mgbench.report.frame import of_images

# After Okabe and Ito's colours, in an order that alternates in tone; for a light and for a dark ground. Any two of the
# light ones are at least 10 CIELAB units apart to people without long- or middle-wave cones too.
COLOURS = (
    ("#0072b2", "#5ab4e8"),
    ("#d55e00", "#ff7a3c"),
    ("#009e73", "#22c79a"),
    ("#b4558f", "#e08fc4"),
    ("#cc9f00", "#f6d860"),
    ("#3f3f46", "#f2f2f6"),
    ("#4fb0e6", "#3a88d8"),
    ("#5a2d00", "#bf763a"),
    ("#20208f", "#7f7cf5"),
    ("#a08cf0", "#bdb0ff"),
    ("#0b6b4f", "#a5ecc0"),
    ("#f0a39a", "#ffc9ba"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "<", "h", ">", "*", "d")
DASHES: tuple[Any, ...] = ("", (4, 1.5), (1, 1), (6, 1.5, 1.5, 1.5), (3, 1, 1, 1, 1, 1))
# Maximum number of series in colour: with names at lines, or in a legend.
MOST_SERIES, MOST_LONG = 16, 8
READABLE = 4.5
DPI = 96  # a CSS pixel is a 96th of an inch


@dataclass(frozen=True)
class Ground:
    """The colours of everything but data."""

    paper: str
    ink: str
    quiet: str
    grid: str


# Of text on a colour that is the same on either ground; the white of the paper is another.
WHITE = "#fefefe"
LIGHT = Ground(paper="#ffffff", ink="#1c1f24", quiet="#5c6470", grid="#e4e7ec")
DARK = Ground(paper="#191d24", ink="#e8eaee", quiet="#a3abb8", grid="#2d333d")


@cache
def on_dark() -> dict[str, str]:
    """The replacement of each colour on dark backgrounds; other colours do not change."""
    of_data = {shade: dark for light, dark in COLOURS for shade in (light, readable(light))}
    return {**of_data, **dict(zip(astuple(LIGHT), astuple(DARK), strict=True))}


def readable(colour: str) -> str:
    """A colour darkened enough for text on a light background (contrast 4.5 to 1)."""
    shares = (share / 10 for share in range(11))
    mixed = (_mixed(colour, LIGHT.ink, share) for share in shares)
    return next((found for found in mixed if contrast(found, LIGHT.paper) >= READABLE), LIGHT.ink)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, as defined by WCAG."""
    levels = sorted(_luminance(colour) + 0.05 for colour in (one, other))
    return levels[1] / levels[0]


def _luminance(colour: str) -> float:
    red, green, blue = to_rgb(colour)
    return float(0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2)


def _mixed(colour: str, ink: str, share: float) -> str:
    red, green, blue = (
        (1 - share) * one + share * other for one, other in zip(to_rgb(colour), to_rgb(ink), strict=True)
    )
    return to_hex((red, green, blue))


@dataclass(frozen=True)
class Medium:
    """Medium of a figure: inches of one panel and of a page's width, points of text, lines and markers."""

    panel: tuple[float, float]
    page: float
    text: float
    line: float
    marker: float


SCREEN = Medium(panel=(6.4, 4.0), page=20.0, text=11, line=2.0, marker=6.5)
# A column of a two-column paper.
PAPER = Medium(panel=(3.35, 2.35), page=6.9, text=7.5, line=1.2, marker=4.0)
_medium: ContextVar[Medium] = ContextVar("medium", default=SCREEN)


def medium() -> Medium:
    """The current medium."""
    return _medium.get()


@contextmanager
def on_paper(wanted: bool = True) -> Iterator[None]:
    """Context for figures in a column of a paper: small, with readable text."""
    token = _medium.set(PAPER if wanted else medium())
    try:
        yield
    finally:
        _medium.reset(token)


def panel(width: float = 1.0, height: float = 1.0) -> tuple[float, float]:
    """The size in inches of a number of panels."""
    return medium().panel[0] * width, medium().panel[1] * height


def lines(count: float) -> float:
    """The height in inches of a number of lines of text."""
    return count * medium().text * 1.42 / 72


@dataclass(frozen=True)
class Look:
    """The look of one series; a hollow marker is filled with the background."""

    colour: str
    marker: str
    dashes: Any
    hollow: bool = False

    def handle(self, marker: bool = True) -> Line2D:
        """The legend handle of the series."""
        line = Line2D([], [], color=self.colour, linewidth=medium().line)
        if marker:
            line.set(**self.marks())
        if self.dashes:
            line.set_dashes(self.dashes)
        return line

    def marks(self) -> dict[str, Any]:
        """The properties of its markers."""
        return {
            "marker": self.marker,
            "markersize": medium().marker,
            "markerfacecolor": LIGHT.paper if self.hollow else self.colour,
            "markeredgecolor": self.colour if self.hollow else LIGHT.paper,
            "markeredgewidth": medium().line * (0.7 if self.hollow else 0.5),
        }


def looks(frame: pd.DataFrame) -> dict[str, Look]:
    """The look of each series of the frame, to be used in all of its figures.

    A method has one colour. Where there are more methods than colours, those whose names begin alike ("maskgit",
    "maskgit-unlabelled") share one and differ in dash and filling; where there is one method, its series get the
    colours.
    """
    named = of_images(frame)[["series", "method"]].drop_duplicates("series").astype(str)
    families = named["method"].str.partition("-")[0]
    methods = named["method"].nunique()
    groups = named["series"] if methods == 1 else named["method"] if methods <= len(COLOURS) else families
    colours, kin = pd.factorize(groups)[0], families.groupby(families).cumcount().to_numpy()
    return {
        name: Look(
            COLOURS[colour % len(COLOURS)][0], MARKERS[place % len(MARKERS)], DASHES[variant % len(DASHES)],
            hollow=bool(variant),
        )
        for place, (name, colour, variant) in enumerate(zip(named["series"], colours, kin, strict=True))
    }  # fmt: skip


@contextmanager
def theme(bare: bool = False) -> Iterator[None]:
    """Context with the style of mgbench, which restores matplotlib's settings afterwards.

    `bare` keeps the caller's style (who brought their own axes) except that a dollar sign in a name is not mathematics.
    """
    settings: Any = {"text.parse_math": False}
    with mpl.rc_context(settings if bare else settings | _house(LIGHT, medium())):
        yield


def _house(colours: Ground, size: Medium) -> dict[str, Any]:
    return {
        # Files embed the original pixels of images, not resampled ones.
        "figure.dpi": DPI, "image.composite_image": False,
        "figure.constrained_layout.h_pad": 0.08, "figure.autolayout": False,
        "figure.constrained_layout.use": False, "svg.hashsalt": "mgbench", "pdf.fonttype": 42,
        "font.size": size.text, "font.family": "sans-serif",
        "figure.facecolor": colours.paper, "axes.facecolor": colours.paper, "savefig.facecolor": "auto",
        "text.color": colours.ink, "axes.labelcolor": colours.ink, "axes.titlecolor": colours.ink,
        "axes.titlesize": "medium", "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.titlepad": 7,
        "axes.labelsize": "medium", "xtick.labelsize": size.text * 0.93, "ytick.labelsize": size.text * 0.93,
        "axes.edgecolor": colours.quiet, "axes.linewidth": 0.8,
        "axes.spines.top": False, "axes.spines.right": False,
        "axes.grid": True, "axes.axisbelow": True, "grid.color": colours.grid, "grid.linewidth": 0.4 * size.line,
        "xtick.color": colours.quiet, "ytick.color": colours.quiet,
        "xtick.labelcolor": colours.ink, "ytick.labelcolor": colours.ink,
        "legend.frameon": False, "legend.fontsize": size.text * 0.95, "lines.linewidth": size.line,
    }  # fmt: skip


def letters(inches: float) -> int:
    """About how many letters fit into this width in inches."""
    return int(inches * 72 / (0.56 * medium().text))


def legend_label(name: str, width: int = 48, most: int = 5) -> str:
    """A series' name for a legend: wrapped where long; "_" at the front, which matplotlib would hide, is kept."""
    wrapped = textwrap.wrap(name, width, break_long_words=True) or [" "]
    shown = "\n".join(wrapped[:most]) + (" …" if len(wrapped) > most else "")
    return " " + shown if shown.startswith("_") else shown


def axis_label(name: str, inches: float) -> str:
    """The label of an axis of this length: where it is too long for it, what is in brackets begins a line."""
    width = letters(inches)
    if len(name) <= width:
        return legend_label(name, width)
    front, bracket, inside = name.partition(" (")
    parts = [front, f"({inside}"] if bracket else [front]
    # "N = 500" stays together.
    return "\n".join(legend_label(part.replace(" = ", "\u00a0=\u00a0"), width) for part in parts)
