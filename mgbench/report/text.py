"""A trade-off as a text plot for a terminal.

plotext 6.1 was tried in place of this: its legend covers points, two series in one cell hide each
other, and its calls are all others than in version 5.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mgbench.report.figures.points import foremost, points
from mgbench.report.frame import of_images, score_names
from mgbench.report.measures import briefly, cost_axis, higher_is_better, score_axis
from mgbench.report.names import short_names

MARKS = "●■▲◆○□△◇✕✚★☆"
BIG_RATIO = 6.0


def text_plot(
    frame: pd.DataFrame,
    metric: str = "",
    cost: str = "nfe",
    width: int = 64,
    height: int = 14,
    allow_mismatch: bool = False,
) -> str:
    """A score (the first, if none is named) against a cost, a mark per series and number of steps; "+" where they meet.

    Empty where there is nothing to draw.

    Raises:
        UserError: if there is no such score or cost, or the rows are not comparable.
    """
    metric = metric or next(iter(score_names(of_images(frame))), "")
    if not metric or cost not in frame:
        return ""
    higher = higher_is_better(frame, metric)
    shown, rest = foremost(points(frame, metric, cost, allow_mismatch), higher, len(MARKS))
    shown = shown.dropna(subset=["cost", "mean"])
    if shown.empty:
        return ""
    across, down = _Scale.of(shown["cost"], width), _Scale.of(shown["mean"], height)
    board = np.full((height, width), " ")
    names = short_names(shown["series"].unique())
    marks = dict(zip(names, MARKS, strict=False))
    for name, x, y in zip(shown["series"], across.places(shown["cost"]), down.places(shown["mean"]), strict=True):
        taken = board[height - 1 - y, x]
        board[height - 1 - y, x] = marks[name] if taken in (" ", marks[name]) else "+"
    return "\n".join(
        [score_axis(frame, metric), *_framed(board, across, down), cost_axis(cost), *_legend(names, marks, rest)]
    )


def text_curve(
    across: Sequence[float], down: Sequence[float], names: tuple[str, str], size: tuple[int, int] = (60, 10)
) -> str:
    """A text plot of finite values against others; `names` are those of the axes, the horizontal one first."""
    width, height = size
    scales = [_Scale.of(pd.Series(values, dtype=float), cells) for values, cells in ((across, width), (down, height))]
    for scale in scales:
        scale.logarithmic = False
    board = np.full((height, width), " ")
    columns, rows = (
        scale.places(pd.Series(values, dtype=float)) for scale, values in zip(scales, (across, down), strict=True)
    )
    board[height - 1 - rows, columns] = "•"
    return "\n".join([names[1], *_framed(board, *scales), names[0]])


class _Scale:
    """A map from values to cells, logarithmic if the values span a large ratio."""

    def __init__(self, low: float, high: float, cells: int) -> None:
        self.logarithmic = low > 0 and high / low >= BIG_RATIO
        self.low, self.high, self.cells = low, high, cells

    @classmethod
    def of(cls, values: pd.Series, cells: int) -> "_Scale":
        return cls(float(values.min()), float(values.max()), cells)

    def places(self, values: pd.Series) -> np.ndarray:
        found = values.to_numpy(float)
        low, high = self.low, self.high
        if self.logarithmic:
            found, low, high = np.log(found), np.log(low), np.log(high)
        places: np.ndarray = np.rint((found - low) / max(high - low, 1e-12) * (self.cells - 1)).astype(int)
        return places

    def at(self, share: float) -> str:
        """The value at a share of the cells."""
        if self.logarithmic:
            return briefly(float(self.low * (self.high / self.low) ** share))
        return briefly(self.low + (self.high - self.low) * share)


def _framed(board: np.ndarray, across: _Scale, down: _Scale) -> list[str]:
    height, width = board.shape
    ticks = {row: down.at(1 - row / (height - 1)) for row in (0, height // 2, height - 1)}
    left = max(map(len, ticks.values()))
    rows = [
        f"{ticks.get(row, ''):>{left}} {'┤' if row in ticks else '│'}{''.join(board[row])}" for row in range(height)
    ]
    low, middle, high = across.at(0), across.at(0.5), across.at(1)
    foot = low + middle.center(width - len(low) - len(high)) + high
    return [*rows, f"{'':>{left}} └{'─' * width}", f"{'':>{left}}  {foot}"]


def _legend(names: dict[str, str], marks: dict[str, str], rest: pd.DataFrame) -> list[str]:
    more = rest["series"].nunique()
    return [f"  {marks[name]} {short}" for name, short in names.items()] + (
        [f"  and {more:,} more series"] if more else []
    )
