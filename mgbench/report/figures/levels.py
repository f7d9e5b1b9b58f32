"""Labels of horizontal levels, such as floors, placed without covering curves or other labels."""

import itertools
import textwrap

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.text import Annotation, Text

from mgbench.report.figures.axes import halo, on_paper, separate_levels
from mgbench.report.figures.placement import Room
from mgbench.report.style import LIGHT

LEADER = "leader"
_ARROW = {"arrowstyle": "->", "color": LIGHT.quiet, "linewidth": 0.6, "mutation_scale": 6, "shrinkA": 0, "shrinkB": 0}


def name_levels(axes: Axes, room: Room) -> None:
    """Move the labels of levels to free space, and mark levels, labels and the legend as occupied."""
    separate_levels(axes)
    if legend := axes.get_legend():
        room.take(box_of(legend, axes))
    names = [text for text in axes.texts if text.get_gid() == "floor"]
    for text in names:
        if isinstance(text, Annotation):
            _clear(text, axes, room)
    for level in _levels(axes):
        room.add_line(on_paper(axes, np.array([(edge, level) for edge in axes.get_xlim()], float)), marked=False)
    for text in names:
        room.take(box_of(text, axes))


def box_of(artist: Artist, axes: Axes) -> np.ndarray:
    """The box [4] of a text, without its arrow, or of a legend, in typographic points of the page."""
    found = Text.get_window_extent(artist) if isinstance(artist, Text) else artist.get_window_extent()
    box: np.ndarray = np.asarray(found.extents) * 72 / axes.figure.dpi
    return box


def _clear(text: Annotation, axes: Axes, room: Room) -> None:
    """Move the label of a level to free space, along the level or to its other side.

    If there is none, the label is wrapped, then moved away from the level with a thin arrow to it; as a last resort it
    may cover lines, but no labels.
    """
    (start, level), up, whole = text.xy, text.xyann[1], text.get_text().replace("\n", " ")
    _, bottom, _, top = box_of(text, axes)
    broken, step = "\n".join(textwrap.wrap(whole, len(whole) // 2 + 6)), (top - bottom) / 2
    shifts = [(broken, away) for away in np.arange(0.0, axes.bbox.height * 72 / axes.figure.dpi, step)]
    places = (float(start), 1.0 - start, 0.5, 0.25, 0.75)
    text.set(path_effects=halo(axes))
    for over, (said, away), place, sign in itertools.product((False, True), [(whole, 0.0), *shifts], places, (1, -1)):
        text.set_text(said)
        _stand(text, (place, level), sign * (up + np.sign(up) * away))
        if _stands_free(text, axes, room, level, not away, over):
            return
    text.set_text(whole)
    _stand(text, (start, level), up)


def _stand(text: Annotation, place: tuple[float, float], shift: float) -> None:
    """Place the name of a level at a share of the width, shifted up or down from the level in points."""
    edge = "left" if place[0] == 0 else "right" if place[0] == 1 else "center"
    text.xy = place
    text.set(ha=edge, va="bottom" if shift > 0 else "top")
    text.xyann = ({"left": 4.0, "right": -4.0}.get(edge, 0.0), shift)


def _stands_free(text: Annotation, axes: Axes, room: Room, level: float, beside: bool, over: bool) -> bool:
    """Mark the place of a level's name as occupied if it is free (or, with `over`, has only lines); returns whether it was."""
    box = box_of(text, axes)
    own, *others = (_height_of(axes, each) for each in (level, *(_levels(axes) - {level})))
    # Next to its level, no other level may be in between; farther away, none may cross it.
    low, high = (min(own, box[1]), max(own, box[3])) if beside else (box[1], box[3])
    free = room.fits(box[None]) if over else room.free(box[None])
    if not free.all() or any(low <= other <= high for other in others):
        return False
    room.take(box)
    if not beside:
        _lead(axes, own, level, box)
    return True


def _levels(axes: Axes) -> set[float]:
    return {float(np.asarray(line.get_ydata(), float)[0]) for line in axes.lines if line.get_gid() == "floor"}


def _height_of(axes: Axes, level: float) -> float:
    return float(on_paper(axes, np.array([(axes.get_xlim()[1], level)]))[0, 1])


def _lead(axes: Axes, height: float, level: float, box: np.ndarray) -> None:
    """A thin arrow from the name of a level to it, at its height on the page."""
    left, width = (float(side) * 72 / axes.figure.dpi for side in (axes.bbox.x0, axes.bbox.width))
    side = box[1] if box[1] > height else box[3]
    axes.annotate(
        "", ((box[0] + box[2] - 2 * left) / (2 * width), level), xycoords=("axes fraction", "data"),
        xytext=(0, side - height), textcoords="offset points", arrowprops=_ARROW, gid=LEADER,
    )  # fmt: skip
