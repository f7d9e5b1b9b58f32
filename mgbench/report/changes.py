"""What changed from one study to another? Recipes field by field, and scores by paired differences."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mgbench.report.frame import POINT, REPEAT, of_images, score_names, spelled_fields
from mgbench.report.paired import interval


@dataclass(frozen=True)
class Comparison:
    """What two studies differ in.

    `fields` has a row per method and field whose values changed (method, field, before, after); `scores` one per method
    and score that rows of both can be paired by (method, metric, mean, low, high, pairs), the mean being after − before;
    `gone` and `new` are methods of one study only; `same` counts the rows that both share.
    """

    fields: pd.DataFrame
    scores: pd.DataFrame
    gone: list[str]
    new: list[str]
    same: int


def compare(before: pd.DataFrame, after: pd.DataFrame) -> Comparison:
    """Compare two studies method by method.

    Two rows are a pair if method, seed, steps and all fields that were varied the same way in both agree; scores obtained
    under different protocols are not compared.
    """
    sides = [of_images(side) for side in (before, after)]
    methods = [list(dict.fromkeys(map(str, side["method"]))) for side in sides]
    common = [method for method in methods[0] if method in methods[1]]
    changed, scores = [], []
    for method in common:
        parts = [side[side["method"] == method] for side in sides]
        fields = _changed(*parts)
        changed += [{"method": method, **row} for row in fields]
        names = {row["field"] for row in fields}
        scores += [{"method": method, **row} for row in _scores(parts[0], parts[1], names)]
    return Comparison(
        pd.DataFrame(changed, columns=["method", "field", "before", "after"]),
        pd.DataFrame(scores, columns=["method", "metric", "mean", "low", "high", "pairs"]),
        [method for method in methods[0] if method not in methods[1]],
        [method for method in methods[1] if method not in methods[0]],
        len(set(sides[0]["key"]) & set(sides[1]["key"])),
    )


def _changed(before: pd.DataFrame, after: pd.DataFrame) -> list[dict[str, str]]:
    old, new = spelled_fields(before), spelled_fields(after)
    found = []
    for name in dict.fromkeys([*old, *new]):
        values = [list(dict.fromkeys(side[name])) if name in side else ["none"] for side in (old, new)]
        if set(values[0]) != set(values[1]):
            found.append({"field": str(name), "before": " | ".join(values[0]), "after": " | ".join(values[1])})
    return found


def _scores(before: pd.DataFrame, after: pd.DataFrame, changed: set[str]) -> list[dict[str, object]]:
    names = [name for name in score_names(before) if name in score_names(after)]
    keys = [name for name in spelled_fields(before) if name not in changed - {POINT, REPEAT}]
    found: list[dict[str, object]] = []
    for metric in names:
        sides = [_by_key(side, keys, metric) for side in (before, after)]
        common = sides[0].index.intersection(sides[1].index)
        differences = sides[1][common].to_numpy(float) - sides[0][common].to_numpy(float)
        if len(differences):
            mean, low, high = interval(differences)
            found.append({"metric": metric, "mean": mean, "low": low, "high": high, "pairs": len(differences)})
    return found


def _by_key(side: pd.DataFrame, keys: list[object], metric: str) -> pd.Series:
    """Scores of finished rows by what they are paired by."""
    values = pd.to_numeric(side[metric], errors="coerce")
    rows = side[(side["status"] == "done") & np.isfinite(values)]
    spelled = spelled_fields(rows).reindex(columns=pd.Index(keys), fill_value="none").assign(protocol=rows["protocol"])
    hashes = pd.util.hash_pandas_object(spelled, index=False).to_numpy()
    return pd.Series(values[rows.index].to_numpy(float), hashes).groupby(level=0).mean()
