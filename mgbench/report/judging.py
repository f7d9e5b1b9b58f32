"""Verdicts on the claims of a study: reproduced, reversed, or undecided at this scale.

The rows of both sides are paired by training seed, and only seeds are replicates: each gives one number, the mean over
its pairs (other steps or fields), after sampling seeds are averaged in each pair. The number is the logarithm of the ratio
of both scores, because differences of FID grow with FID itself, while a ratio means the same on any data; if a score is 0
or less, it is their difference. If higher scores are better the sign is inverted, so that values below 0 always speak for
the claim. The interval is Student's t over seeds, with 95 %, as in `mgbench compare`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from mgbench.errors import UserError
from mgbench.recipes.claims import Claim
from mgbench.report.frame import REPEAT, Claims, of_images, score_names, spelled_fields
from mgbench.report.measures import higher_is_better
from mgbench.report.paired import interval
from mgbench.report.significance import values_of_one_side, varied_fields
from mgbench.report.where import column_of, select

Finding = Literal["reproduced", "reversed", "undecided"]
FINDINGS: tuple[Finding, ...] = ("reproduced", "reversed", "undecided")
# The fewest seeds with both sides of every pair that give a verdict.
FEWEST = 5
DIVERGED = "diverged"
SIDES = ("better", "than")
# The side that wins by a finding.
WINS: dict[Finding, int] = {"reproduced": 0, "reversed": 1}
# Costs whose means both sides have, where they are known.
COSTS = ("nfe", "flops_per_image", "seconds_per_image", "train_seconds", "train_flops")


@dataclass(frozen=True)
class Verdict:
    """A verdict on a claim, at one of its conditions.

    `effect` with its interval `low` and `high` is the mean logarithm of the ratio of both scores (of their difference,
    unless `relative`), NaN where no seed is complete; below `bound` it speaks for the claim. `means` are the mean scores
    of both sides over the complete seeds; `seeds` counts these, and `planned` all. `costs` are means of both sides over
    the rows that have partners; `notes` say what is missing, and why a verdict is none. `skipped` has the conditions of
    which such rows are skipped, so that no seed is ever complete, with a reason of each.
    """

    claim: Claim
    at: str
    metric: str
    finding: Finding
    effect: float = np.nan
    low: float = np.nan
    high: float = np.nan
    bound: float = 0.0
    relative: bool = True
    means: tuple[float, float] = (np.nan, np.nan)
    seeds: int = 0
    planned: int = 0
    costs: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)


def verdicts(frame: pd.DataFrame) -> list[Verdict]:
    """The verdicts on all claims of a frame (`attrs["claims"]`), in the order of the file.

    The frame has every row of the study, those of equal samplings too (`read_results(…, every=True)`).
    """
    claims: Claims = frame.attrs.get("claims", Claims())
    images = of_images(frame) if claims else frame
    return [judge(images, claim, at) for claim in claims for at in claim.at or ("",)]


def judge(frame: pd.DataFrame, claim: Claim, at: str = "") -> Verdict:
    """The verdict on a claim at one condition.

    `reproduced` if the whole interval lies on the claim's side of its margin, `reversed` if it lies on the other side,
    and else `undecided`; so too with fewer than five complete seeds. A side that diverged where the other finished
    cannot win, and loses if it did so with every seed (five at least).
    """
    try:
        pairs = Pairs.of(frame, claim, at)
    except UserError as problem:
        return Verdict(claim, at, claim.metric, "undecided", notes=(f"{problem}",))
    return pairs.verdict()


@dataclass(frozen=True)
class Pairs:
    """The two sides of a claim at a condition: finished rows and others, and the fields by which they are paired."""

    claim: Claim
    at: str
    metric: str
    higher: bool | None
    sides: list[pd.DataFrame]
    fields: list[str]

    @classmethod
    def of(cls, frame: pd.DataFrame, claim: Claim, at: str = "") -> "Pairs":
        """Select both sides.

        Raises:
            UserError: if a condition cannot be read or holds for no row, both sides are the same rows, rows of one side can
                have no partners, or the score does not exist.
        """
        there = select(frame, at)
        sides = [select(there, condition) for condition in (claim.better, claim.than)]
        for side, condition in zip(sides, (claim.better, claim.than), strict=True):
            if side.empty:
                raise UserError(f"no row has {condition!r}{f' at {at!r}' if at else ''}; correct the condition")
        if set(sides[0]["key"]) & set(sides[1]["key"]):
            raise UserError(f"some rows have both {claim.better!r} and {claim.than!r}; name different ones")
        fields = varied_fields(sides)
        for name in fields:
            _check_partners(sides, name, claim)
        metric = claim.metric or next(iter(score_names(frame)), "")
        metric = column_of(frame, metric) if metric and score_names(frame) else metric
        return cls(claim, at, metric, higher_is_better(frame, metric), sides, fields)

    def verdict(self) -> Verdict:
        """The verdict, with its interval and with what is missing."""
        better, than = self.scores
        complete = better.columns[(better.notna() & than.notna()).all() & bool(len(better))]
        values = _Values.of(better[complete].to_numpy(float), than[complete].to_numpy(float), bool(self.higher))
        mean, low, high = interval(values.by_seed) if len(complete) else (np.nan, np.nan, np.nan)
        bound, planned = values.bound(self.claim.margin), better.shape[1]
        finding, why = _decide(len(complete), planned, (low, high), bound, self._lost())
        if finding != "undecided" and (barred := self._barred()):
            finding, why = "undecided", [barred]
        return Verdict(
            self.claim,
            self.at,
            self.metric,
            finding,
            effect=mean,
            low=low,
            high=high,
            bound=bound,
            relative=values.relative,
            means=values.means,
            seeds=len(complete),
            planned=planned,
            costs=dict(self._costs()),
            notes=(*why, *self._missing()),
            skipped=self._skipped(),
        )

    def _skipped(self) -> dict[str, str]:
        """Conditions of which rows with partners are skipped, with the reason of the first."""
        reasons = [rows.loc[rows["status"] == "skipped", "reason"] for rows in map(self._paired, self.rows)]
        sides = zip((self.claim.better, self.claim.than), reasons, strict=True)
        return {condition: str(found.iloc[0]) for condition, found in sides if len(found)}

    @cached_property
    def rows(self) -> list[pd.DataFrame]:
        """The rows of both sides with the `place` of each: the fields by which it is paired, as text."""
        found = []
        for side in self.sides:
            spelled = spelled_fields(side).reindex(columns=pd.Index(self.fields), fill_value="none")
            place = spelled.agg(", ".join, axis=1) if self.fields else pd.Series("", side.index)
            found.append(side.assign(place=place))
        return found

    @cached_property
    def scores(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The score of either side at each place that both have (rows) and seed (columns); NaN where a row has none."""
        cells = [self._cells(side) for side in self.rows]
        common, seeds = cells[0].index.intersection(cells[1].index), sorted({*cells[0], *cells[1]})
        return cells[0].reindex(index=common, columns=seeds), cells[1].reindex(index=common, columns=seeds)

    def _cells(self, rows: pd.DataFrame) -> pd.DataFrame:
        known = rows[self.metric] if self.metric in rows else pd.Series(np.nan, rows.index)
        score = pd.to_numeric(known, errors="coerce")
        score = score.where((rows["status"] == "done") & np.isfinite(score))
        return score.groupby([rows["place"], rows[REPEAT]]).agg(lambda cell: cell.mean(skipna=False)).unstack()

    def _paired(self, side: pd.DataFrame) -> pd.DataFrame:
        return side[side["place"].isin(self.scores[0].index)]

    def _lost(self) -> tuple[int, int]:
        """The number of seeds with which either side diverged while the other finished."""
        paired = map(self._paired, self.rows)
        diverged = [set(rows.loc[rows["status"] == DIVERGED, REPEAT]) for rows in paired]
        finished = [set(scores.columns[scores.notna().all()]) for scores in self.scores]
        return len(diverged[0] & finished[1]), len(diverged[1] & finished[0])

    def _barred(self) -> str:
        """The reason for which scores of both sides cannot be compared; empty if they can."""
        protocols = {text for side in self.sides for text in side.loc[side["status"] == "done", "protocol"]}
        if len(protocols) > 1:
            return f"rows were scored under {len(protocols)} protocols, and cannot be compared"
        return "" if self.higher is not None else f"no better direction of {self.metric} is declared"

    def _missing(self) -> Iterator[str]:
        """Rows without scores by side and status, seeds of one side only, and places of one side only."""
        for name, rows, other in zip(SIDES, self.rows, reversed(self.rows), strict=True):
            for status, part in rows[rows["status"] != "done"].groupby("status", sort=False):
                yield f"'{name}': {len(part)} of {len(rows)} rows {status} (seeds {_listed(part[REPEAT])})"
            if lacks := set(other[REPEAT]) - set(rows[REPEAT]):
                yield f"'{name}' has no rows of seeds {_listed(lacks)}"
        alone = sum(len(rows) - len(self._paired(rows)) for rows in self.rows)
        if alone:
            yield f"{alone} rows have a value of {' or '.join(self.fields)} that the other side has not, and are left out"

    def _costs(self) -> Iterator[tuple[str, tuple[float, float]]]:
        done = [rows[rows["status"] == "done"] for rows in map(self._paired, self.rows)]
        for name in dict.fromkeys((*self.claim.costs, *COSTS)):
            known = [pd.to_numeric(rows[name], errors="coerce") if name in rows else pd.Series() for rows in done]
            if all(values.notna().any() for values in known):
                yield name, (float(known[0].mean()), float(known[1].mean()))


@dataclass(frozen=True)
class _Values:
    """One number for each seed (mean logarithms of ratios, or mean differences if a score is not positive), and the means
    of both sides.
    """

    by_seed: np.ndarray
    relative: bool
    means: tuple[float, float]

    @classmethod
    def of(cls, better: np.ndarray, than: np.ndarray, higher: bool) -> "_Values":
        """The numbers of scores [places, seeds] of both sides, below 0 where those of the first are better."""
        sign = -1.0 if higher else 1.0
        if not better.size:
            return cls(np.zeros(0), True, (np.nan, np.nan))
        relative = bool((better > 0).all() and (than > 0).all())
        pairs = np.log(better) - np.log(than) if relative else better - than
        return cls(sign * pairs.mean(axis=0), relative, (float(better.mean()), float(than.mean())))

    def bound(self, margin: float) -> float:
        """The value below which the first side is worse by at most this share."""
        return float(np.log1p(margin)) if self.relative else margin * abs(self.means[1])


def _check_partners(sides: list[pd.DataFrame], name: str, claim: Claim) -> None:
    if (alone := values_of_one_side(sides, name)) is None:
        return
    which, several = alone
    condition = (claim.better, claim.than)[which]
    raise UserError(
        f"the rows of {condition!r} have {len(several)} values of {name} ({', '.join(several[:3])}, …) that the other side "
        f"does not have, so they have no partners; add ' and {name}=…' to the condition, or name one in 'at'"
    )


def _decide(
    complete: int, planned: int, limits: tuple[float, float], bound: float, lost: tuple[int, int]
) -> tuple[Finding, list[str]]:
    """The finding, and what else decided it: `lost` are seeds with which either side alone diverged."""
    for winner, side in WINS.items():
        if lost[1 - side] == planned >= FEWEST:
            return winner, [f"'{SIDES[1 - side]}' diverged with every seed, and the other side with none"]
    if complete < FEWEST:
        return "undecided", [f"{complete} of {planned} seeds are complete; a verdict needs {FEWEST - complete} more"]
    finding: Finding = "reproduced" if limits[1] < bound else "reversed" if limits[0] > bound else "undecided"
    if finding != "undecided" and lost[WINS[finding]]:
        share = f"{lost[WINS[finding]]} of {planned} seeds"
        return "undecided", [
            f"'{SIDES[WINS[finding]]}' is ahead, but diverged with {share}, which the interval leaves out"
        ]
    return finding, []


def _listed(seeds: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(set(seeds))))
