"""The points of a trade-off: what rows say of a score and a cost, which lines are shown, and which points are the best."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from mgbench.recipes.kinds import KINDS
from mgbench.report.frame import POINT, name_series, spell
from mgbench.report.measures import higher_is_better, in_rank
from mgbench.report.names import short_specs
from mgbench.report.paired import Points
from mgbench.report.style import MOST_SERIES
from mgbench.report.summary import comparable, pareto, summarise

FIRST = "nfe"


@dataclass(frozen=True)
class Tradeoff:
    """A score against a cost: what is asked of some rows, of one protocol or of several; `most` series are drawn in colour."""

    metric: str
    cost: str = FIRST
    allow_mismatch: bool = False
    most: int = MOST_SERIES

    def of(self, frame: pd.DataFrame) -> "Lines":
        """Summarise some rows.

        Raises:
            UserError: if there is no such score or cost, or the rows are not comparable.
        """
        rows = comparable(frame, self.metric, self.allow_mismatch)
        summary = points(rows, self.metric, self.cost, self.allow_mismatch)
        return Lines(self.metric, self.most, higher_is_better(frame, self.metric), rows, summary)


@dataclass(frozen=True)
class Lines:
    """The rows of a trade-off with their means over seeds (`summary`); what follows from these is worked out once."""

    metric: str
    most: int
    higher: bool | None
    rows: pd.DataFrame
    summary: pd.DataFrame

    @cached_property
    def shown(self) -> pd.DataFrame:
        """The points that are drawn in colour."""
        return foremost(self.summary, self.higher, self.most)[0]

    @cached_property
    def rest(self) -> pd.DataFrame:
        """The points that are drawn faintly."""
        return foremost(self.summary, self.higher, self.most)[1]

    @cached_property
    def front(self) -> pd.DataFrame:
        """The Pareto front."""
        return pareto(self.summary, self.higher)

    @cached_property
    def unsure(self) -> pd.DataFrame:
        """The points of which seeds cannot say whether they are on the front."""
        return ambiguous(self.rows, self.metric, self.summary, self.higher)


def points(frame: pd.DataFrame, metric: str, cost: str, allow_mismatch: bool) -> pd.DataFrame:
    """The summary to draw; where the cost is one number per series, each series at its best only."""
    summary = summarise(frame, metric, cost, allow_mismatch)
    spans = summary.groupby("series", sort=False)["cost"].agg(["min", "max", "size"])
    if (spans["size"] > 1).any() and ((spans["max"] - spans["min"]) <= 1e-6 * spans["max"].abs()).all():
        order = in_rank(summary, "mean", higher_is_better(frame, metric))
        return order.drop_duplicates("series").sort_index()
    return summary


def panels(rows: pd.DataFrame, by: str = "", named: bool = True) -> list[tuple[str, pd.DataFrame]]:
    """The rows by a field's value, or by whether labels were used in training; one untitled panel where all agree."""
    if by:
        rows = rows.assign(series=name_series(rows, (by,)))
        spelled = rows[by].map(spell)
        field = f"{by.replace('_', ' ')} " if named else ""
        short = short_specs(spelled) if by in KINDS else {value: value for value in spelled}
        return [(field + text, rows[spelled == value]) for value, text in short.items()]
    if rows["labels"].nunique() < 2:
        return [("", rows)]
    titles = {True: "Trained with labels", False: "Trained without labels"}
    return [(title, rows[rows["labels"] == value]) for value, title in titles.items()]


def foremost(summary: pd.DataFrame, higher: bool | None, most: int = MOST_SERIES) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The series to draw in colour (those with the best means; the first ones, where none is best) and the others."""
    best = summary.groupby("series", sort=False)["mean"].agg("max" if higher else "min")
    keep = (best if higher is None else best.sort_values(ascending=not higher, kind="stable")).index[:most]
    chosen = summary["series"].isin(keep)
    return summary[chosen], summary[~chosen]


def ambiguous(frame: pd.DataFrame, metric: str, summary: pd.DataFrame, higher: bool | None) -> pd.DataFrame:
    """The points of which seeds cannot say whether they are on the Pareto front.

    A point beside the front that cannot be told from the point of the front that beats it, or one on it whose gain over
    the cheaper one before it may be chance: the 95 % interval of the difference, paired by seed, holds 0.
    """
    front = pareto(summary, higher)
    points = summary.dropna(subset=["cost", "mean"]).reset_index(drop=True)
    if front.empty or not len(points):
        return points[:0]
    on_front = pd.MultiIndex.from_frame(points[["series", POINT]]).isin(
        pd.MultiIndex.from_frame(front[["series", POINT]])
    )
    # The front rises in cost: the last of its points that costs no more than a point is the one that beats it.
    rivals = np.searchsorted(front["cost"].to_numpy(float), points["cost"].to_numpy(float), side="right") - 1
    rivals = np.where(on_front, rivals - 1, rivals)
    asked = np.flatnonzero(rivals >= 0)
    both = pd.concat([points, front], ignore_index=True)
    apart = Points.of(frame, metric, both).apart(asked, len(points) + rivals[asked])
    unsure: pd.DataFrame = points.iloc[asked[apart == 0]]
    return unsure
