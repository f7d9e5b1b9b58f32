"""Differences between two studies: changed recipe fields, and paired differences of scores."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mgbench.report.frame import POINT, REPEAT, of_images, score_names, spelled_fields
from mgbench.report.paired import interval

COLUMNS = ["method", "metric", "mean", "low", "high", "seeds", "pairs", "alone"]


@dataclass(frozen=True)
class Comparison:
    """Differences between two studies.

    `fields` has a row per method and field whose values changed (method, field, before, after); `scores` one per method
    and score of which rows of both can be paired (method, metric, mean, low, high, seeds, pairs, alone): the mean over
    seeds of after − before, and `alone`, the rows of either side that have no partner. `averaged` says, by method, in
    which fields the pairs of one seed differ, over which the mean is taken. `unpaired` are methods of both studies
    whose rows cannot be paired at all, with the reason; `gone` and `new` are methods of one study only; `unfinished`
    are the rows of either that have no scores, by method, as "2 of 8 rows of A"; `same` counts the rows that both
    share.
    """

    fields: pd.DataFrame
    scores: pd.DataFrame
    averaged: dict[str, list[str]]
    unpaired: dict[str, str]
    unfinished: dict[str, str]
    gone: list[str]
    new: list[str]
    same: int


def compare(before: pd.DataFrame, after: pd.DataFrame) -> Comparison:
    """Compare two studies method by method.

    Two rows are a pair if method, protocol and all fields agree but those that changed from one value to another. Seeds
    are the replicates: pairs of one seed are averaged first. A method is not compared where a field has several values
    on one side and none of them on the other, because no row has one partner then.
    """
    sides = [of_images(side) for side in (before, after)]
    names = [name for name in score_names(sides[0]) if name in score_names(sides[1])]
    methods = [list(dict.fromkeys(map(str, side["method"]))) for side in sides]
    changed, scores = [], []
    averaged, unpaired, unfinished = dict[str, list[str]](), dict[str, str](), dict[str, str]()
    for method in (method for method in methods[0] if method in methods[1]):
        parts = [side[side["method"] == method] for side in sides]
        fields = _changed(*parts)
        changed += [{"method": method, **row} for row in fields]
        if said := _unfinished(parts):
            unfinished[method] = said
        ambiguous = [str(row["field"]) for row in fields if row["several"] and not row["shared"]]
        if ambiguous:
            unpaired[method] = (
                f"{' and '.join(ambiguous)} changed and took several values on one side, so no row has one partner; "
                "narrow it with --where, or compare methods with 'mgbench compare'"
            )
            continue
        dropped = {row["field"] for row in fields if not row["shared"]} - {POINT, REPEAT}
        keys = [name for name in map(str, spelled_fields(parts[0])) if name not in dropped]
        pairs = [_pairs(parts, keys, name) for name in names]
        scores += [{"method": method, "metric": name, **row} for name, row in zip(names, pairs, strict=True) if row]
        if not any(pairs) and names:
            unpaired[method] = "no finished rows of the same seed, steps and protocol on both sides"
        if over := _averaged(parts[0], keys):
            averaged[method] = over
    return Comparison(
        fields=pd.DataFrame(changed, columns=["method", "field", "before", "after"]),
        scores=pd.DataFrame(scores, columns=COLUMNS),
        averaged=averaged,
        unpaired=unpaired,
        unfinished=unfinished,
        gone=[method for method in methods[0] if method not in methods[1]],
        new=[method for method in methods[1] if method not in methods[0]],
        same=len(set(sides[0]["key"]) & set(sides[1]["key"])),
    )


def _unfinished(parts: list[pd.DataFrame]) -> str:
    said = [
        f"{int((part['status'] != 'done').sum())} of {len(part)} rows {where}"
        for part, where in zip(parts, ("before", "after"), strict=True)
        if (part["status"] != "done").any()
    ]
    return " and ".join(said)


def _changed(before: pd.DataFrame, after: pd.DataFrame) -> list[dict[str, object]]:
    old, new = spelled_fields(before), spelled_fields(after)
    found: list[dict[str, object]] = []
    for name in dict.fromkeys([*old, *new]):
        values = [list(dict.fromkeys(side[name])) if name in side else ["none"] for side in (old, new)]
        if set(values[0]) != set(values[1]):
            said = {"before": " | ".join(values[0]), "after": " | ".join(values[1])}
            shared = bool(set(values[0]) & set(values[1]))
            found.append({"field": str(name), **said, "several": max(map(len, values)) > 1, "shared": shared})
    return found


def _averaged(part: pd.DataFrame, keys: list[str]) -> list[str]:
    """The fields besides the seed that vary among the rows of a method, over which the mean of its pairs is taken."""
    spelled = spelled_fields(part)
    return [name for name in keys if name != REPEAT and name in spelled and spelled[name].nunique() > 1]


def _pairs(parts: list[pd.DataFrame], keys: list[str], metric: str) -> dict[str, object]:
    """The mean difference of a score over seeds; empty if no rows can be paired."""
    old, new = (_by_key(side, keys, metric) for side in parts)
    common = old.index.intersection(new.index)
    if not len(common):
        return {}
    differences = new[common] - old[common]
    by_seed = differences.groupby(level=1).mean().to_numpy(float)
    mean, low, high = interval(by_seed)
    alone = len(old) + len(new) - 2 * len(common)
    return {"mean": mean, "low": low, "high": high, "seeds": len(by_seed), "pairs": len(common), "alone": alone}


def _by_key(side: pd.DataFrame, keys: list[str], metric: str) -> pd.Series:
    """Scores of finished rows by what they are paired by, and by seed."""
    values = pd.to_numeric(side[metric], errors="coerce")
    rows = side[(side["status"] == "done") & np.isfinite(values)]
    spelled = spelled_fields(rows).reindex(columns=pd.Index(keys), fill_value="none")
    seeds = spelled[REPEAT].to_numpy(object)
    hashes = pd.util.hash_pandas_object(spelled.assign(protocol=rows["protocol"]), index=False).to_numpy()
    return pd.Series(values[rows.index].to_numpy(float), [hashes, seeds]).groupby(level=[0, 1]).mean()
