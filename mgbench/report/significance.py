"""Paired t-tests between two methods or studies, with Holm's correction for multiple comparisons."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtr

from mgbench.errors import UserError, suggestion
from mgbench.report.frame import POINT, REPEAT, of_images, score_names, spelled_fields
from mgbench.report.labels import declared_in, family, of_tokens
from mgbench.report.paired import interval
from mgbench.report.summary import comparable

COLUMNS = ["metric", "seeds", "pairs", "before", "after", "difference", "low", "high", "p", "p_adjusted"]
# Fields that only affect how rows are scored.
UNPAIRED = ("metrics",)


def paired_test(before: pd.DataFrame, after: pd.DataFrame, by: tuple[str, ...] = (POINT,)) -> pd.DataFrame:
    """The paired difference of every common score, at each common value of `by`; once for a score that does not depend
    on sampling.

    A pair is a finished row of either side with the same values of `by`, the same seed, and the same value of every
    field that varies within the sides; pairs of one seed are averaged, because seeds alone are replicates. Columns:
    `by`, then metric, seeds, pairs, the two means, difference (after − before) with its 95 % interval (Student's t over
    the seeds), the p-value of no difference, and the p-value corrected for the number of rows (Holm); the last four are
    missing where there is one seed. `attrs["averaged"]` lists the fields over which pairs of one seed are averaged.

    Raises:
        UserError: if the two sides are the same rows, were scored under different protocols, or cannot be paired.
    """
    sides = [of_images(side) for side in (before, after)]
    if len(sides[0]) and set(sides[0]["key"]) == set(sides[1]["key"]):
        raise UserError("both sides are the same rows; name two different methods or studies")
    fields = paired_fields(sides, by)
    common = [name for name in score_names(sides[0]) if name in score_names(sides[1])]
    found = [row for metric in common for row in _of_metric(sides, metric, by, fields)]
    table = pd.DataFrame(found, columns=[*by, *COLUMNS])
    if POINT in by:
        table[POINT] = table[POINT].astype("Int64")
    table = table.assign(p_adjusted=holm(table["p"].to_numpy(float)))
    table.attrs.update(averaged=fields, declared=declared_in(before))
    return table


def paired_fields(sides: list[pd.DataFrame], by: tuple[str, ...]) -> list[str]:
    """The fields besides seed and `by` that vary within the groups of both sides, and by which their rows are paired.

    Raises:
        UserError: if a field varies on one side in values that the other does not have.
    """
    fields = varied_fields(sides, by)
    for name in fields:
        if (alone := values_of_one_side(sides, name)) is not None:
            which, several = alone
            raise UserError(
                f"{'AB'[which]} has {len(several)} values of {name} ({', '.join(several[:3])}, …) that the other side does "
                f"not, so its rows have no partners; name one with --where '{name}=…', or a series instead of a method"
            )
    return fields


def varied_fields(sides: list[pd.DataFrame], by: tuple[str, ...] = ()) -> list[str]:
    """The fields that vary within the groups of either side, besides seed, `by` and those that only affect scores."""
    groups = [side["series"] if "series" in by else pd.Series("", side.index) for side in sides]
    varied: list[str] = []
    for side, group in zip(sides, groups, strict=True):
        part = spelled_fields(side)
        names = [str(name) for name in part if name not in (*by, REPEAT, *UNPAIRED)]
        counts = part[names].groupby(group.to_numpy()).nunique().max() if len(part) else pd.Series(1, names)
        varied += [name for name in names if counts[name] > 1]
    return list(dict.fromkeys(varied))


def values_of_one_side(sides: list[pd.DataFrame], field: str) -> tuple[int, list[str]] | None:
    """The side (0 or 1) that has several values of a field of which the other has none or only one, with these values."""
    spelled = [spelled_fields(side) for side in sides]
    values = [set(part[field]) if field in part else {"none"} for part in spelled]
    if values[0] & values[1] and min(map(len, values)) > 1:
        return None
    side = int(len(values[0]) < len(values[1]))
    return side, sorted(values[side])


def gaps(before: pd.DataFrame, after: pd.DataFrame, by: tuple[str, ...], names: tuple[str, str]) -> list[str]:
    """Rows that a comparison lacks: those of a side that did not finish, and those that only the other side has."""
    sides = [of_images(side) for side in (before, after)]
    done = [side[side["status"] == "done"] for side in sides]
    keys = [{tuple(row) for row in side[[*by, REPEAT]].astype(str).to_numpy()} for side in done]
    said = []
    for side, finished, own, other, name in zip(sides, done, keys, reversed(keys), names, strict=True):
        if len(finished) < len(side):
            statuses = side.loc[side["status"] != "done", "status"].value_counts().items()
            counted = ", ".join(f"{count} {status}" for status, count in statuses)
            said.append(f"{name}: {len(side) - len(finished)} of {len(side)} rows did not finish ({counted})")
        missing = sorted(other - own)
        if missing:
            places = [
                ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in zip((*by, REPEAT), row, strict=True))
                for row in missing[:3]
            ]
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            said.append(f"{name} lacks what the other side has: {'; '.join(places)}{more}")
        if side.attrs.get("missing"):
            said.append(f"{name}: {side.attrs['missing']} rows have no record yet")
    return said


def _of_metric(
    sides: list[pd.DataFrame], metric: str, by: tuple[str, ...], fields: list[str]
) -> list[dict[str, object]]:
    rows = [comparable(side, metric) for side in sides]
    protocols = [*dict.fromkeys(protocol for side in rows for protocol in side["protocol"])]
    if len(protocols) > 1:
        raise UserError(
            f"{metric} cannot be compared: one side was scored under {protocols[0]!r}, the other under {protocols[1]!r}"
        )
    keys = [name for name in by if name != POINT or not of_tokens(sides[0], metric)]
    spelled = [side.assign(**spelled_fields(side)[fields]) for side in rows]
    values = [side.groupby([*keys, *fields, REPEAT])[metric].mean().astype(float) for side in spelled]
    pairs = pd.concat(values, axis=1, join="inner", keys=["before", "after"]).reset_index()
    found = []
    for place, part in pairs.groupby(keys, sort=False) if keys else [((), pairs)] * bool(len(pairs)):
        seeds = part.groupby(REPEAT)[["before", "after"]].mean()
        differences = (seeds["after"] - seeds["before"]).to_numpy(float)
        mean, low, high = interval(differences)
        means = {"before": seeds["before"].mean(), "after": seeds["after"].mean()}
        stands = {"difference": mean, "low": low, "high": high, "p": p_value(differences)}
        counts = {"seeds": len(seeds), "pairs": len(part)}
        found.append({**dict(zip(keys, place, strict=True)), "metric": metric, **counts, **means, **stands})
    return found


def p_value(differences: np.ndarray) -> float:
    """The p-value of a two-sided t-test of zero mean difference; NaN for one difference."""
    count = len(differences)
    if count < 2:
        return np.nan
    mean, error = differences.mean(), differences.std(ddof=1) / np.sqrt(count)
    if error == 0:
        return float(mean == 0)
    return float(2 * stdtr(count - 1, -abs(mean / error)))


def holm(p_values: np.ndarray) -> np.ndarray:
    """p-values [n] with Holm's correction for multiple tests (Holm, 1979)."""
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    adjusted = np.full(len(p_values), np.nan)
    raised = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(raised), 1)
    return adjusted


@dataclass(frozen=True)
class Limit:
    """A limit on the change of a score: `fid:+5%` (an increase of more than 5 %), `accuracy:-0.01` (a decrease of
    more).
    """

    metric: str
    change: float
    relative: bool

    @classmethod
    def parse(cls, text: str) -> "Limit":
        """Parse a limit.

        Raises:
            UserError: if it is none.
        """
        match = re.fullmatch(r"\s*(\w+(?:\[[^\]]*\])?)\s*:\s*([+-]\d+(?:\.\d*)?(?:e[+-]?\d+)?)\s*(%?)\s*", text)
        if match is None:
            raise UserError(f"cannot read the limit {text!r}; write for example 'fid:+5%' or 'accuracy:-0.01'")
        share = bool(match[3])
        return cls(match[1], float(match[2]) / (100 if share else 1), share)

    def exceeded(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows of a comparison in which the score moved further than that.

        Raises:
            UserError: if the comparison has no such score.
        """
        mine = table[[self.metric in (name, family(name)) for name in table["metric"]]]
        if mine.empty:
            raise UserError(f"no score is called {self.metric!r} here; {suggestion(self.metric, set(table['metric']))}")
        allowed = self.change * (mine["before"].abs() if self.relative else 1)
        moved = mine["difference"]
        return mine[moved > allowed] if self.change >= 0 and not np.signbit(self.change) else mine[moved < allowed]
