"""Texts that a page shows beside the points of a line when a pointer rests on them."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

TOLD = "told-"
# A label that begins so stands in no legend.
_HIDDEN = "_"
_BREAK = "\x1e"


def tell(line: Line2D, number: int, texts: Sequence[str]) -> None:
    """Give the points of a line, in their order, a text each; the number tells the lines of a panel apart."""
    line.set_label(_HIDDEN + _BREAK.join(texts))
    figure = line.get_figure(root=True)
    assert figure is not None
    panel = next(place for place, axes in enumerate(figure.axes) if axes is line.axes)
    line.set_gid(f"{TOLD}{panel}-{number}")


def told(figure: Figure) -> dict[str, list[str]]:
    """The texts of every line of a figure that has some, by the id of its element in an SVG."""
    lines = (line for axes in figure.axes for line in axes.lines)
    named = ((str(line.get_gid() or ""), str(line.get_label())) for line in lines)
    return {name: label.removeprefix(_HIDDEN).split(_BREAK) for name, label in named if name.startswith(TOLD)}
