"""Verdicts on claims as text: a table, the effect of each, and what holds for all of them."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mgbench.report.frame import POINT
from mgbench.report.judging import FEWEST, FINDINGS, Verdict
from mgbench.report.labels import declared_in
from mgbench.report.measures import briefly, cost_short, declared_name, number
from mgbench.results.wording import counted

# The chance that an interval leaves 0 out where nothing differs.
CHANCE = 0.05
NOTE = (
    "The effect is the ratio of both scores, a mean over seeds with its 95 % interval (Student's t): −20 % is a score "
    "lower by a fifth. Where more is better the ratio is inverted, so that values below 0 always speak for the claim."
)


def verdict_table(verdicts: Sequence[Verdict], frame: pd.DataFrame) -> pd.DataFrame:
    """A row of text for each verdict: claim, at, verdict, score, both means, effect with its interval, seeds, cost ratios.

    A cost has a column if any claim names it: the mean of the first side as a share of that of the second.
    """
    costs = list(dict.fromkeys(name for verdict in verdicts for name in verdict.claim.costs))
    return pd.DataFrame([_row(verdict, frame, costs) for verdict in verdicts], dtype=str)


def _row(verdict: Verdict, frame: pd.DataFrame, costs: Sequence[str]) -> dict[str, str]:
    declared = declared_in(frame).get(verdict.metric)
    return {
        "claim": verdict.claim.name,
        "at": at_said(verdict),
        "verdict": verdict.finding,
        "score": declared_name(verdict.metric, declared),
        "better": number(verdict.means[0]),
        "than": number(verdict.means[1]),
        "effect": effect_said(verdict),
        "seeds": f"{verdict.seeds} of {verdict.planned}",
        **{cost_short(name): ratio_said(verdict, name) for name in costs},
    }


def as_values(verdict: Verdict) -> dict[str, Any]:
    """A verdict as plain values with those of its claim, for JSON: `at` is its one condition, `metric` the score that was read.

    The values of both sides are lists of two, those of `better` first.
    """
    values = {name: value for name, value in vars(verdict).items() if name not in ("claim", "finding")}
    return {**verdict.claim.plain(), **values, "verdict": verdict.finding}


def at_said(verdict: Verdict) -> str:
    """The condition of a verdict; of a number of steps alone "8 steps"."""
    steps = re.fullmatch(rf"\s*{POINT}\s*==?\s*(\d+)\s*", verdict.at)
    return f"{counted(int(steps[1]), 'step')}" if steps else verdict.at or "all rows"


def effect_said(verdict: Verdict) -> str:
    """The effect with its interval, as per cent or, of scores without a ratio, as a difference: "−12 % (−15 to −9.1)"."""
    if np.isnan(verdict.effect):
        return "–"
    shown = [_signed(verdict, value) for value in (verdict.effect, verdict.low, verdict.high)]
    unit = " %" if verdict.relative else ""
    return f"{shown[0]}{unit}" + ("" if np.isnan(verdict.low) else f" ({shown[1]} to {shown[2]})")


def _signed(verdict: Verdict, value: float) -> str:
    if not verdict.relative:
        text = number(abs(value))
    else:
        share = abs(100 * np.expm1(value))
        text = f"{share:.1f}" if share < 9.95 else f"{share:.0f}"
    return text if not float(text) else ("−" if value < 0 else "+") + text


def ratio_said(verdict: Verdict, cost: str) -> str:
    """The cost of the first side as a multiple of that of the second: "×0.6"."""
    better, than = verdict.costs.get(cost, (np.nan, np.nan))
    return f"×{briefly(better / than)}" if than > 0 else "–"


def margin_said(verdict: Verdict) -> str:
    """The margin of a claim, if it has one: "at most 5 % worse"."""
    margin = verdict.claim.margin
    return f"at most {briefly(100 * margin)} % worse" if margin else ""


def counts(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """The number of verdicts of each finding that occurs."""
    found = {finding: sum(verdict.finding == finding for verdict in verdicts) for finding in FINDINGS}
    return {finding: count for finding, count in found.items() if count}


def by_chance(verdicts: Sequence[Verdict]) -> str:
    """A sentence on how many verdicts chance alone would give."""
    able = sum(verdict.seeds >= FEWEST for verdict in verdicts)
    if not able:
        return f"No verdict has its {FEWEST} complete seeds yet, so nothing is decided."
    complete = f"{counted(able, 'verdict')} with {FEWEST} complete seeds or more"
    return (
        f"Every interval is of one verdict, and none is corrected for their number: of {complete}, about "
        f"{briefly(CHANCE * able)} would be decided by chance (5 %) if every true effect were none, or the claim's margin."
    )
