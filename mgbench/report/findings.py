"""What do the numbers say, in a few sentences? Computed from the summary, with what is not certain said."""

from collections.abc import Iterator

import pandas as pd

from mgbench.report.figures.tradeoff import panels
from mgbench.report.frame import POINT, score_names
from mgbench.report.measures import briefly, cost_short, higher_is_better, ranked, score_name, with_interval
from mgbench.report.summary import comparable, floor_of, sampled_scores

NEAR = 0.1  # "nearly as good": within this share of the best


def headline(frame: pd.DataFrame) -> str:
    """The report in one sentence."""
    for metric in score_names(frame):
        best = ranked(frame, metric)
        if len(best):
            row = best.iloc[0]
            score = with_interval(row["mean"], row["low"], row["high"])
            return f"The best {score_name(metric)} is {score}, by {_who(row, metric in sampled_scores(frame))}."
    return "No row has finished yet." if len(frame) else "There are no rows."


def findings(frame: pd.DataFrame) -> list[str]:
    """The best of each score, whether the next is really behind, and what nearly the best costs at least."""
    said: list[str] = []
    sampled = sampled_scores(frame)
    for place, metric in enumerate(score_names(frame)):
        rows = comparable(frame, metric, allow_mismatch=True)
        # Series that share their models are one where it is about models.
        rows = rows if metric in sampled else rows.drop_duplicates("training_key")
        for title, part in panels(rows) if place == 0 else [("", rows)]:
            who = f"{title}: " if title else ""
            said += [who + _capital(text, bool(title)) for text in _about(part, metric, metric in sampled, place == 0)]
    return said


def _about(part: pd.DataFrame, metric: str, sampled: bool, costs_too: bool) -> Iterator[str]:
    cost = next((name for name in ("nfe", "seconds_per_image") if name in part), None)
    places = ranked(part, metric, cost)
    if places.empty:
        return
    best = places.iloc[0]
    yield _best(best, metric, sampled, floor_of(part, metric)) + _rival(best, places, sampled)
    if sampled and costs_too and cost and len(places) > 1:
        higher = higher_is_better(part, metric)
        limit = best["mean"] - NEAR * abs(best["mean"]) * (1 if higher else -1)
        near = places[(places["mean"] >= limit) if higher else (places["mean"] <= limit)]
        yield _cheapest(near.sort_values("cost").iloc[0], best, metric, cost)


def _best(best: pd.Series, metric: str, sampled: bool, floor: float | None) -> str:
    score = with_interval(best["mean"], best["low"], best["high"])
    seeds = f"{best['count']} seed{'s' if best['count'] > 1 else ''}"
    beside = f" Real images score {briefly(floor)}." if floor is not None else ""
    return f"the best {score_name(metric)} is {score}, by {_who(best, sampled)} ({seeds}).{beside}"


def _rival(best: pd.Series, places: pd.DataFrame, sampled: bool) -> str:
    others = places[places["series"] != best["series"]]
    if others.empty:
        return ""
    rival = others.iloc[0]
    score = with_interval(rival["mean"], rival["low"], rival["high"])
    next_is = f" Next is {_who(rival, sampled, f' with {score}')};"
    if pd.isna(best["low"]) or pd.isna(rival["low"]):
        return f"{next_is} one seed cannot say whether they differ."
    overlap = best["low"] <= rival["high"] and rival["low"] <= best["high"]
    verdict = "their 95 % intervals overlap" if overlap else "their 95 % intervals are apart"
    return f"{next_is} {verdict}."


def _cheapest(row: pd.Series, best: pd.Series, metric: str, cost: str) -> str:
    if (row["series"], row[POINT]) == (best["series"], best[POINT]):
        return f"nothing cheaper comes within {NEAR * 100:.0f} % of that ({cost_short(cost)} {briefly(row['cost'])})."
    return (
        f"{row['series']} at {_steps(row[POINT])} comes within {NEAR * 100:.0f} % of the best {score_name(metric)} "
        f"at the lowest cost ({cost_short(cost)} {briefly(row['cost'])})."
    )


def _who(row: pd.Series, sampled: bool, score: str = "") -> str:
    """A series with its score, and with its steps where they matter."""
    return f"{row['series']}{score}" + (f" at {_steps(row[POINT])}" if sampled else "")


def _steps(steps: float) -> str:
    return f"{steps:.0f} step{'s' if steps > 1 else ''}"


def _capital(text: str, inside: bool) -> str:
    return text if inside else text[:1].upper() + text[1:]
