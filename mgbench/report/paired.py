"""Which choices matter? The difference that each choice on an axis makes with everything else equal."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from mgbench.recipes.recipe import decides
from mgbench.report.frame import POINT, REPEAT, spelled_fields
from mgbench.report.summary import comparable, half_width

COLUMNS = ["axis", "choice", "reference", "mean", "low", "high", "pairs"]


def axes_of(frame: pd.DataFrame) -> list[str]:
    """The fields of the recipe that vary among the rows, besides the seed and what only decides the scores."""
    spelled = spelled_fields(frame)
    varying = [str(name) for name in spelled if spelled[name].nunique() > 1 and name != REPEAT]
    return [name for name in varying if decides(name) != "scores"]


def effects(frame: pd.DataFrame, metric: str, allow_mismatch: bool = False) -> pd.DataFrame:
    """The paired difference of a metric that each choice makes against the most frequent one of its axis.

    A pair is two finished rows whose recipes agree in every field but the axis, the seed included, whatever their methods
    are called; a field that nothing asks on one side does not count. The interval is Student's t over the pairs. The
    number of sampling steps is no axis here: the trade-offs show it. Columns: axis, choice, reference, mean, low, high,
    pairs; the axis with the largest difference first.

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
        # With its name hashed in, lest two fields that swap their values have the same sum.
        named = {str(name): (f"{name}=" + spelled[name]).to_numpy(object) for name in spelled}
        self.hashes = {name: pd.util.hash_array(values) for name, values in named.items()}
        self.whole = _sum(list(self.hashes.values()))
        self.unasked = {str(name): unasked[name].to_numpy(bool) for name in unasked}

    def effects(self, axis: str) -> Iterator[tuple[object, ...]]:
        choices = self.spelled[axis].value_counts(sort=False)
        reference = str(choices.index[int(np.argmax(choices.to_numpy()))])
        rows = {str(choice): np.flatnonzero(self.spelled[axis] == choice) for choice in choices.index}
        for choice in choices.index:
            differences = self._differences(axis, rows[reference], rows[choice]) if choice != reference else np.empty(0)
            if len(differences):
                yield (axis, str(choice), reference, *interval(differences), len(differences))

    def _differences(self, axis: str, base: np.ndarray, other: np.ndarray) -> np.ndarray:
        """The score of each row minus that of the row it is paired with."""
        left_out = [name for name, none in self.unasked.items() if none[base].all() != none[other].all()]
        keys = self.whole - _sum([self.hashes[name] for name in {axis, *left_out}])
        left, right = (pd.Series(self.scores[side], keys[side]).groupby(level=0).mean() for side in (other, base))
        common = left.index.intersection(right.index)
        differences: np.ndarray = left[common].to_numpy(float) - right[common].to_numpy(float)
        return differences


def _sum(hashes: list[np.ndarray]) -> np.ndarray:
    total: np.ndarray = np.add.reduce(np.stack(hashes), axis=0, dtype=np.uint64)
    return total


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """The mean of some values with its 95 % interval (Student's t); of one value there is no interval."""
    mean = float(values.mean())
    deviation = float(values.std(ddof=1)) if len(values) > 1 else np.nan
    half = float(half_width(np.array([deviation]), np.array([len(values)]))[0])
    return mean, mean - half, mean + half
