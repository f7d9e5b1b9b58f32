"""Sentences about the main results, computed from the summary, including their uncertainty."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from mgbench.report.figures.points import panels
from mgbench.report.frame import POINT, score_names
from mgbench.report.measures import (
    briefly,
    cost_short,
    counts_scored,
    higher_is_better,
    ranked,
    ranked_scores,
    score_name,
    with_interval,
)
from mgbench.report.paired import Points
from mgbench.report.summary import comparable, floor_of, sampled_scores
from mgbench.results.wording import counted

NEAR = 0.1  # relative distance from the best that counts as nearly as good


def headline(frame: pd.DataFrame) -> str:
    """The main result in one sentence."""
    for metric in ranked_scores(frame):
        best = ranked(frame, metric)
        if len(best):
            row, sampled = best.iloc[0], metric in sampled_scores(frame)
            score = with_interval(row["mean"], row["low"], row["high"])
            alone = " (one seed)" if row["count"] == 1 else ""
            name = f"{score_name(frame, metric)}{of_images_said(frame, metric)}"
            return f"The best {name} is {score}, by {_who(row, sampled)}{alone}."
    if (frame["status"] == "done").any():
        return "No score here has a declared better direction, so none is called the best."
    return "No row has finished yet." if len(frame) else "There are no rows."


def of_images_said(frame: pd.DataFrame, metric: str) -> str:
    """The number of images that a score is of, inside a sentence: " of 500 images"; empty where it is not known."""
    counts = counts_scored(frame, metric)
    if not counts:
        return ""
    return f" of {counts[0]:,}{f' to {counts[-1]:,}' if len(counts) > 1 else ''} images"


def findings(frame: pd.DataFrame) -> list[str]:
    """For each score: the best, whether the next is significantly worse, and the cheapest that is nearly as good."""
    said: list[str] = []
    sampled = sampled_scores(frame)
    for place, metric in enumerate(ranked_scores(frame)):
        rows = comparable(frame, metric, allow_mismatch=True)
        # For scores of models, series with the same models count once.
        rows = rows if metric in sampled else rows.drop_duplicates("training_key")
        for title, part in panels(rows) if place == 0 else [("", rows)]:
            who = f"{title}: " if title else ""
            said += [who + _capital(text, bool(title)) for text in _about(part, metric, metric in sampled, place == 0)]
    undeclared = [score_name(frame, name) for name in score_names(frame) if name not in ranked_scores(frame)]
    if undeclared:
        said.append(f"{', '.join(undeclared)}: no better direction is declared, so none is called the best.")
    return said


def _about(part: pd.DataFrame, metric: str, sampled: bool, costs_too: bool) -> Iterator[str]:
    cost = next((name for name in ("nfe", "seconds_per_image") if name in part), None)
    places = ranked(part, metric, cost)
    if places.empty:
        return
    best = places.iloc[0]
    yield _best(part, best, metric, sampled) + _rival(part, metric, places, sampled)
    if sampled and costs_too and cost and len(places) > 1:
        higher = higher_is_better(part, metric)
        limit = best["mean"] - NEAR * abs(best["mean"]) * (1 if higher else -1)
        near = places[(places["mean"] >= limit) if higher else (places["mean"] <= limit)]
        yield _cheapest(near.sort_values("cost").iloc[0], best, score_name(part, metric), cost)


def _best(part: pd.DataFrame, best: pd.Series, metric: str, sampled: bool) -> str:
    score, floor = with_interval(best["mean"], best["low"], best["high"]), floor_of(part, metric)
    seeds = counted(best["count"], "seed")
    beside = f" Real images score {briefly(floor)}." if floor is not None else ""
    name = score_name(part, metric) + (of_images_said(part, metric) if sampled else "")
    return f"the best {name} is {score}, by {_who(best, sampled)} ({seeds}).{beside}"


def _rival(part: pd.DataFrame, metric: str, places: pd.DataFrame, sampled: bool) -> str:
    """The best of another series, and whether the interval of the difference, paired by seed, excludes 0."""
    best = places.iloc[0]
    others = places[places["series"] != best["series"]]
    if others.empty:
        return ""
    rival = others.iloc[0]
    score = with_interval(rival["mean"], rival["low"], rival["high"])
    next_is = f" Next is {_who(rival, sampled, f' with {score}')};"
    both = pd.DataFrame([best, rival])
    apart = Points.of(part, metric, both).apart(np.array([0]), np.array([1]))[0]
    if np.isnan(apart):
        return f"{next_is} one seed cannot say whether they differ."
    holds = "excludes 0" if apart else "contains 0"
    return f"{next_is} the 95 % interval of their difference, paired by seed, {holds}."


def _cheapest(row: pd.Series, best: pd.Series, name: str, cost: str) -> str:
    if (row["series"], row[POINT]) == (best["series"], best[POINT]):
        return f"nothing cheaper comes within {NEAR * 100:.0f} % of that ({cost_short(cost)} {briefly(row['cost'])})."
    return (
        f"{row['series']} at {_steps(row['taken'])} comes within {NEAR * 100:.0f} % of the best {name} "
        f"at the lowest cost ({cost_short(cost)} {briefly(row['cost'])})."
    )


def _who(row: pd.Series, sampled: bool, score: str = "") -> str:
    """A series with its score, and with its steps where they matter."""
    return f"{row['series']}{score}" + (f" at {_steps(row['taken'])}" if sampled else "")


def _steps(steps: float) -> str:
    return f"{steps:.0f} step{'s' if steps > 1 else ''}"


def _capital(text: str, inside: bool) -> str:
    return text if inside else text[:1].upper() + text[1:]
