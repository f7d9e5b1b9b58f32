"""A search over recipes in numbers: its history, the gap between searched and held-out images, and the comparison."""

from collections.abc import Iterable, Mapping
from statistics import fmean

import pandas as pd

from mgbench.report.frame import METHOD, of_images, score_names
from mgbench.report.labels import family
from mgbench.report.measures import number, score_name
from mgbench.report.significance import paired_test
from mgbench.results.layout import Layout
from mgbench.results.record import load_record
from mgbench.results.schema import Corrupt
from mgbench.results.tuning import Tuning

NOTE = (
    "Both columns: the same models. Searched: the validation half of the held-out images, with the noise of the search. Held "
    "out: the test half, with other noise. The gap of the method as it is shows what the halves and the noise do; what the "
    "gap of the found recipe exceeds it by is over-fitting of the search."
)
SEARCHED, HELD_OUT, GAP = "searched", "held out", "gap"
_COSTS = ("nfe", "head_evaluations", "flops_per_image", "seconds_per_image")


def history(layout: Layout, tuning: Tuning) -> pd.DataFrame:
    """The attempts of a search in order: number, score (missing where there is none), best so far, reason, changes."""
    rows = [
        (
            place,
            None if attempt.reason else mean_score(layout, attempt.keys, tuning.metric),
            attempt.reason,
            changes_said(attempt.changes),
        )
        for place, attempt in enumerate(tuning.attempts)
    ]
    frame = pd.DataFrame(rows, columns=["number", "score", "reason", "changes"]).astype({"score": float})
    best = frame["score"].cummax() if tuning.higher else frame["score"].cummin()
    return frame.assign(best=best.ffill())


def changes_said(changes: Mapping[str, object]) -> str:
    """The changes of a recipe in words."""
    return ", ".join(f"{name}={value}" for name, value in changes.items())


def mean_score(layout: Layout, keys: Iterable[str], metric: str) -> float | None:
    """The mean of a score over stored rows; None if any lacks it."""
    found = [_score(layout, key, metric) for key in keys]
    scores = [score for score in found if score is not None]
    return fmean(scores) if scores and len(scores) == len(found) else None


def _score(layout: Layout, key: str, metric: str) -> float | None:
    try:
        scores = load_record(layout.run(key) / "record.json").scores
    except (FileNotFoundError, Corrupt):
        return None
    return next((value for name, value in scores.items() if metric in (name, family(name))), None)


def gap_table(layout: Layout, tuning: Tuning) -> pd.DataFrame:
    """The score of the method and of the found recipe on searched and on held-out images, and the gap between the two.

    Columns: method, searched, held out, gap (positive: worse on held-out images).
    """
    sign = -1 if tuning.higher else 1
    rows = []
    for name, attempt in tuning.names.items():
        searched, held_out = (
            mean_score(layout, keys, tuning.metric) for keys in (attempt.keys, tuning.held_out.get(name, ()))
        )
        gap = None if searched is None or held_out is None else sign * (held_out - searched)
        rows.append((name, searched, held_out, gap))
    return pd.DataFrame(rows, columns=[METHOD, SEARCHED, HELD_OUT, GAP]).astype(
        dict.fromkeys((SEARCHED, HELD_OUT, GAP), float)
    )


def full_name(frame: pd.DataFrame, metric: str) -> str | None:
    """The score of a frame that a metric is, with the extractor in its name; None if there is none."""
    return next((name for name in score_names(of_images(frame)) if metric in (name, family(name))), None)


def comparison(frame: pd.DataFrame, tuning: Tuning) -> pd.DataFrame:
    """The paired difference of every score between the method and the found recipe over seeds, on the held-out images.

    Columns as `mgbench.report.significance.paired_test`, without steps, since both have the same budget; empty if the
    search found nothing better or rows are missing.
    """
    rows = of_images(frame)
    before, after = (rows[rows[METHOD] == name] for name in (tuning.method, tuning.tuned))
    if not all((side["status"] == "done").any() for side in (before, after)):
        return pd.DataFrame()
    return paired_test(before, after, ())


def mean_costs(frame: pd.DataFrame, tuning: Tuning) -> pd.DataFrame:
    """The mean cost of an image of both recipes: one row for each, by method."""
    rows = of_images(frame)
    known = [name for name in _COSTS if name in rows]
    return rows[rows["status"] == "done"].groupby(METHOD, sort=False)[known].mean()


def verdict(frame: pd.DataFrame, tuning: Tuning) -> str:
    """The comparison on held-out images in a sentence."""
    found = comparison(frame, tuning)
    if not tuning.winner:
        return f"No recipe of the search was better than {tuning.method} as it is."
    metric = full_name(frame, tuning.metric)
    rows = found[found["metric"] == metric].to_dict("records") if len(found) else []
    if not rows or metric is None:
        return f"{tuning.tuned} has not been compared with {tuning.method} on held-out images yet."
    row, name = rows[0], score_name(frame, metric)
    said = f"{name} on held-out images: {tuning.method} {number(row['before'])}, {tuning.tuned} {number(row['after'])}"
    if row["seeds"] < 2:
        return f"{said}; with one seed, the difference may be due to chance."
    difference, low, high = (number(row[part]) for part in ("difference", "low", "high"))
    spread = f"difference {difference} (95 % interval {low} to {high}, {row['seeds']} seeds)"
    return f"{said}; {spread}: {_decided(row['low'], row['high'], tuning.higher)}."


def _decided(low: float, high: float, higher: bool) -> str:
    """The outcome of a comparison whose difference lies between two numbers."""
    if low <= 0 <= high:
        return "undecided"
    return f"the tuned recipe is {'better' if (low > 0) == higher else 'worse'}"


def printable_gap(layout: Layout, frame: pd.DataFrame, tuning: Tuning) -> pd.DataFrame:
    """`gap_table` as text, with steps and measured costs."""
    table, costs = gap_table(layout, tuning), mean_costs(frame, tuning)
    shown = table.astype(object)
    for name in (SEARCHED, HELD_OUT, GAP):
        shown[name] = [number(value) for value in table[name]]
    shown["steps"] = [str(attempt.steps) for attempt in tuning.names.values()]
    for cost, title in (("nfe", "NFE"), ("head_evaluations", "head evaluations")):
        if cost in costs:
            shown[title] = [number(costs[cost].get(name, float("nan"))) for name in table[METHOD]]
    return shown.astype(str)
