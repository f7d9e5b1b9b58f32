"""The points of a trade-off figure: summaries of a score and a cost, the lines to show, and the Pareto front."""

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
    """A trade-off figure: score, cost, whether protocols may be mixed, and the number of series in colour (`most`)."""

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
    """The rows of a trade-off with their means over seeds (`summary`); derived tables are cached."""

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
        """The points that may or may not be on the front, given the variation between seeds."""
        return ambiguous(self.rows, self.metric, self.summary, self.higher)


def points(frame: pd.DataFrame, metric: str, cost: str, allow_mismatch: bool) -> pd.DataFrame:
    """The summary to draw; if the cost is one number per series, only the best point of each series."""
    summary = summarise(frame, metric, cost, allow_mismatch)
    spans = summary.groupby("series", sort=False)["cost"].agg(["min", "max", "size"])
    if (spans["size"] > 1).any() and ((spans["max"] - spans["min"]) <= 1e-6 * spans["max"].abs()).all():
        order = in_rank(summary, "mean", higher_is_better(frame, metric))
        return order.drop_duplicates("series").sort_index()
    return summary


def panels(rows: pd.DataFrame, by: str = "", named: bool = True) -> list[tuple[str, pd.DataFrame]]:
    """The rows split by a field, or by whether training used labels; one untitled panel if all agree."""
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
    """The series to draw in colour (those with the best means, or the first ones) and the others."""
    best = summary.groupby("series", sort=False)["mean"].agg("max" if higher else "min")
    keep = (best if higher is None else best.sort_values(ascending=not higher, kind="stable")).index[:most]
    chosen = summary["series"].isin(keep)
    return summary[chosen], summary[~chosen]


def ambiguous(frame: pd.DataFrame, metric: str, summary: pd.DataFrame, higher: bool | None) -> pd.DataFrame:
    """The points that may or may not be on the Pareto front, given the variation between seeds.

    These are points off the front that do not differ significantly from the point that beats them, and points on it
    whose gain over the cheaper one before may be chance: the 95 % interval of the difference, paired by seed, contains
    0.
    """
    front = pareto(summary, higher)
    points = summary.dropna(subset=["cost", "mean"]).reset_index(drop=True)
    if front.empty or not len(points):
        return points[:0]
    on_front = pd.MultiIndex.from_frame(points[["series", POINT]]).isin(
        pd.MultiIndex.from_frame(front[["series", POINT]])
    )
    # The front is sorted by cost, so the last of its points that costs no more than a point is the one that beats it.
    rivals = np.searchsorted(front["cost"].to_numpy(float), points["cost"].to_numpy(float), side="right") - 1
    rivals = np.where(on_front, rivals - 1, rivals)
    asked = np.flatnonzero(rivals >= 0)
    both = pd.concat([points, front], ignore_index=True)
    apart = Points.of(frame, metric, both).apart(asked, len(points) + rivals[asked])
    unsure: pd.DataFrame = points.iloc[asked[apart == 0]]
    return unsure
