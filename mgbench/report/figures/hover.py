"""Texts that a page shows when the pointer rests on a point of a line."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

HOVER = "hover-"
# matplotlib leaves labels with this prefix out of legends.
_HIDDEN = "_"
_BREAK = "\x1e"


def set_hover_texts(line: Line2D, number: int, texts: Sequence[str]) -> None:
    """Attach a text to each point of a line, in order; `number` distinguishes the lines of a panel."""
    line.set_label(_HIDDEN + _BREAK.join(texts))
    figure = line.get_figure(root=True)
    assert figure is not None
    panel = next(place for place, axes in enumerate(figure.axes) if axes is line.axes)
    line.set_gid(f"{HOVER}{panel}-{number}")


def hover_texts(figure: Figure) -> dict[str, list[str]]:
    """The texts of each line of a figure that has any, by the id of its SVG element."""
    lines = (line for axes in figure.axes for line in axes.lines)
    named = ((str(line.get_gid() or ""), str(line.get_label())) for line in lines)
    return {name: label.removeprefix(_HIDDEN).split(_BREAK) for name, label in named if name.startswith(HOVER)}
