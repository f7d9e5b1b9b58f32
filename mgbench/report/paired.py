"""Paired differences: the effect of each choice on an axis with everything else equal, and significant differences of
points.

Replicates are seeds. Pairs of one seed (with other steps or fields) are averaged first, because rows with the same
trained model are not independent.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mgbench.recipes.recipe import decides
from mgbench.report.frame import POINT, REPEAT, spelled_fields
from mgbench.report.measures import number
from mgbench.report.summary import comparable, half_width

COLUMNS = ["axis", "choice", "reference", "mean", "low", "high", "seeds", "pairs"]
# Marks of points: the best, and those without a significant difference from it.
BEST, TIED = "best", "tied"


def axes_of(frame: pd.DataFrame) -> list[str]:
    """The recipe fields that vary among the rows, except the seed and fields that only affect scores."""
    return axes_within(frame, pd.Series(0, frame.index))


def axes_within(frame: pd.DataFrame, groups: pd.Series) -> list[str]:
    """The fields that vary, as for `axes_of`, within any of some groups of the rows."""
    counts = spelled_fields(frame).groupby(groups.to_numpy(), sort=False).nunique()
    varying = [str(name) for name in counts if (counts[name] > 1).any() and name != REPEAT]
    return [name for name in varying if decides(name) != "scores"]


def effects(frame: pd.DataFrame, metric: str, allow_mismatch: bool = False) -> pd.DataFrame:
    """The paired difference of a metric between each choice and the most frequent one of its axis.

    A pair is two finished rows whose recipes agree in every field but the axis, the seed included, whatever their
    methods are called; fields that one side does not use are ignored. Pairs of one seed are averaged, and the interval
    is Student's t over seeds. The number of sampling steps is not an axis here, because trade-offs show it. Columns:
    axis, choice, reference, mean, low, high, seeds, pairs; the axis with the largest difference first.

    Raises:
        UserError: if there is no such metric or the rows are not comparable.
    """
    rows = comparable(frame, metric, allow_mismatch)
    spelled = spelled_fields(rows).assign(protocol=rows["protocol"])
    table = _Table(spelled, rows[list(spelled)].isna(), pd.to_numeric(rows[metric]).to_numpy(float))
    found = pd.DataFrame(
        [effect for axis in axes_of(rows) if axis != POINT for effect in table.effects(axis)], columns=COLUMNS
    )
    size = found.assign(size=found["mean"].abs()).groupby("axis")["size"].transform("max")
    order = found.assign(size=size).sort_values(["size", "axis", "mean"], ascending=[False, True, True], kind="stable")
    return order.drop(columns="size").reset_index(drop=True)


class _Table:
    """Recipes of rows as text, their scores, and a hash of each field from which the hash of any others is a sum away."""

    def __init__(self, spelled: pd.DataFrame, unasked: pd.DataFrame, scores: np.ndarray) -> None:
        self.spelled, self.scores = spelled, scores
        self.seeds = spelled[REPEAT].to_numpy(object) if REPEAT in spelled else np.zeros(len(spelled), object)
        # The hash includes the name, so that two fields with swapped values have different sums.
        named = {str(name): (f"{name}=" + spelled[name]).to_numpy(object) for name in spelled}
        self.hashes = {name: pd.util.hash_array(values) for name, values in named.items()}
        self.whole = _sum(list(self.hashes.values()))
        self.unasked = {str(name): unasked[name].to_numpy(bool) for name in unasked}

    def effects(self, axis: str) -> Iterator[tuple[object, ...]]:
        choices = self.spelled[axis].value_counts(sort=False)
        reference = str(choices.index[int(np.argmax(choices.to_numpy()))])
        rows = {str(choice): np.flatnonzero(self.spelled[axis] == choice) for choice in choices.index}
        for choice in choices.index:
            if choice == reference:
                continue
            differences = self._differences(axis, rows[reference], rows[choice])
            if len(differences):
                by_seed = differences.groupby(level=1).mean().to_numpy(float)
                yield (axis, str(choice), reference, *interval(by_seed), len(by_seed), len(differences))

    def _differences(self, axis: str, base: np.ndarray, other: np.ndarray) -> pd.Series:
        """The score of each row minus that of the row it is paired with, by what they share and by seed."""
        left_out = [name for name, none in self.unasked.items() if none[base].all() != none[other].all()]
        keys = self.whole - _sum([self.hashes[name] for name in {axis, *left_out}])
        left, right = (
            pd.Series(self.scores[side], [keys[side], self.seeds[side]]).groupby(level=[0, 1]).mean()
            for side in (other, base)
        )
        return (left - right).dropna()


def _sum(hashes: list[np.ndarray]) -> np.ndarray:
    total: np.ndarray = np.add.reduce(np.stack(hashes), axis=0, dtype=np.uint64)
    return total


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """The mean of values with its 95 % interval (Student's t), which is NaN for one value."""
    mean = float(values.mean())
    deviation = float(values.std(ddof=1)) if len(values) > 1 else np.nan
    half = float(half_width(np.array([deviation]), np.array([len(values)]))[0])
    return mean, mean - half, mean + half


@dataclass(frozen=True)
class Points:
    """A score at some points (series and steps), by seed: values [points, seeds], NaN where a seed has none."""

    values: np.ndarray

    @classmethod
    def of(cls, frame: pd.DataFrame, metric: str, points: pd.DataFrame) -> "Points":
        """The score of finished rows at each of some points, which have the columns series and sampling_steps."""
        rows = comparable(frame, metric, allow_mismatch=True)
        scores = pd.to_numeric(rows[metric]).groupby([rows["series"], rows[POINT], rows[REPEAT]], dropna=False).mean()
        wanted = pd.MultiIndex.from_frame(points[["series", POINT]])
        return cls(scores.unstack().reindex(wanted).to_numpy(float))

    def apart(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Whether points differ from others, float [n]: 1 if the 95 % interval of the difference, paired by seed,
        excludes 0, 0 if it contains 0, NaN if fewer than 2 seeds have both.
        """
        differences = self.values[one] - self.values[other]
        count = np.isfinite(differences).sum(axis=1)
        known = np.where(np.isfinite(differences), differences, 0.0)
        mean = known.sum(axis=1) / np.maximum(count, 1)
        spread = np.where(np.isfinite(differences), differences - mean[:, None], 0.0)
        deviation = np.sqrt((spread**2).sum(axis=1) / np.maximum(count - 1, 1))
        half = half_width(deviation, count)
        return np.where(count > 1, (np.abs(mean) > half).astype(float), np.nan)


def standing(
    frame: pd.DataFrame, table: pd.DataFrame, metric: str, higher: bool | None, by: str | None = None
) -> list[str]:
    """For each row of a summary table whether its mean is the best of all (or of those that agree in `by`), or tied
    with it.

    A row is tied if the 95 % interval of its difference from the best, paired by seed, contains 0 or, with fewer than 2
    common seeds, if both means are displayed equally. Nothing is best if no better direction is declared.
    """
    means = table[metric].to_numpy(float) * (1 if higher else -1)
    groups = np.zeros(len(table), int) if by is None else pd.factorize(table[by])[0]
    known = np.flatnonzero(np.isfinite(means))
    order = known[np.argsort(-means[known], kind="stable")]
    first = dict(zip(groups[order][::-1], order[::-1], strict=True))
    sizes = np.bincount(groups[known], minlength=groups.max(initial=0) + 1) if len(known) else np.zeros(1, int)
    signs = [""] * len(table)
    if higher is None or not len(known):
        return signs
    best = np.array([first[group] for group in groups[known]])
    told = Points.of(frame, metric, table).apart(known, best)
    for place, other, apart in zip(known, best, told, strict=True):
        same = number(means[place]) == number(means[other]) if np.isnan(apart) else not apart
        if sizes[groups[place]] > 1:
            signs[place] = BEST if place == other else TIED if same else ""
    return signs
