"""Is the difference between two methods, or two studies, more than chance? Paired by seed, corrected for many looks."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtr

from mgbench.errors import UserError, suggestion
from mgbench.report.frame import POINT, REPEAT, of_images, score_names
from mgbench.report.labels import family, of_tokens
from mgbench.report.paired import interval
from mgbench.report.summary import comparable

COLUMNS = ["metric", "pairs", "before", "after", "difference", "low", "high", "p", "p_adjusted"]


def contrast(before: pd.DataFrame, after: pd.DataFrame, by: tuple[str, ...] = (POINT,)) -> pd.DataFrame:
    """The paired difference of every score that both have, at each value of `by` that both have; of a score that belongs to
    the model, once for all numbers of steps (then missing).

    A pair is a finished row of either side with the same values of `by` and the same seed. Columns: `by`, then metric, pairs,
    the two means, difference (after − before) with its 95 % interval (Student's t over the pairs), the p-value of no
    difference, and the p-value corrected for the number of rows (Holm); the last four are missing where there is one pair.

    Raises:
        UserError: if the two sides were scored under different protocols.
    """
    sides = [of_images(side) for side in (before, after)]
    common = [name for name in score_names(sides[0]) if name in score_names(sides[1])]
    found = [row for metric in common for row in _of_metric(sides, metric, by)]
    table = pd.DataFrame(found, columns=[*by, *COLUMNS])
    if POINT in by:
        table[POINT] = table[POINT].astype("Int64")
    return table.assign(p_adjusted=holm(table["p"].to_numpy(float)))


def _of_metric(sides: list[pd.DataFrame], metric: str, by: tuple[str, ...]) -> list[dict[str, object]]:
    rows = [comparable(side, metric) for side in sides]
    protocols = [*dict.fromkeys(protocol for side in rows for protocol in side["protocol"])]
    if len(protocols) > 1:
        raise UserError(
            f"{metric} cannot be compared: one side was scored under {protocols[0]!r}, the other under {protocols[1]!r}"
        )
    keys = [name for name in by if name != POINT or not of_tokens(metric)]
    values = [side.groupby([*keys, REPEAT])[metric].mean().astype(float) for side in rows]
    pairs = pd.concat(values, axis=1, join="inner", keys=["before", "after"]).reset_index()
    found = []
    for place, part in pairs.groupby(keys, sort=False) if keys else [((), pairs)] * bool(len(pairs)):
        differences = (part["after"] - part["before"]).to_numpy(float)
        mean, low, high = interval(differences)
        means = {"before": part["before"].mean(), "after": part["after"].mean()}
        stands = {"difference": mean, "low": low, "high": high, "p": p_value(differences)}
        found.append({**dict(zip(keys, place, strict=True)), "metric": metric, "pairs": len(part), **means, **stands})
    return found


def p_value(differences: np.ndarray) -> float:
    """The chance of a mean at least as far from 0 if there were no difference (two-sided t-test); not a number for one."""
    count = len(differences)
    if count < 2:
        return np.nan
    mean, error = differences.mean(), differences.std(ddof=1) / np.sqrt(count)
    if error == 0:
        return float(mean == 0)
    return float(2 * stdtr(count - 1, -abs(mean / error)))


def holm(p_values: np.ndarray) -> np.ndarray:
    """p-values [n] corrected so that any false alarm among all of them is as rare as each claims (Holm, 1979)."""
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    adjusted = np.full(len(p_values), np.nan)
    raised = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(raised), 1)
    return adjusted


@dataclass(frozen=True)
class Limit:
    """How far a score may move before it is a failure: `fid:+5%` (up by more than 5 %), `accuracy:-0.01` (down by more)."""

    metric: str
    change: float
    relative: bool

    @classmethod
    def parse(cls, text: str) -> "Limit":
        """Read a limit.

        Raises:
            UserError: if it is none.
        """
        match = re.fullmatch(r"\s*(\w+(?:\[[^\]]*\])?)\s*:\s*([+-]\d+(?:\.\d*)?(?:e[+-]?\d+)?)\s*(%?)\s*", text)
        if match is None:
            raise UserError(f"cannot read the limit {text!r}; write for example 'fid:+5%' or 'accuracy:-0.01'")
        share = bool(match[3])
        return cls(match[1], float(match[2]) / (100 if share else 1), share)

    def exceeded(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows of a contrast in which the score moved further than that.

        Raises:
            UserError: if the contrast has no such score.
        """
        mine = table[[self.metric in (name, family(name)) for name in table["metric"]]]
        if mine.empty:
            raise UserError(f"no score is called {self.metric!r} here; {suggestion(self.metric, set(table['metric']))}")
        allowed = self.change * (mine["before"].abs() if self.relative else 1)
        moved = mine["difference"]
        return mine[moved > allowed] if self.change >= 0 and not np.signbit(self.change) else mine[moved < allowed]
