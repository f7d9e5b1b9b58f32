"""How are a score and a cost written, and which way is better?"""

import math
import re

import pandas as pd

from mgbench.report.labels import COSTS, SCORES, family
from mgbench.report.summary import comparable, floor_of, summarise


def score_name(metric: str) -> str:
    """How a score is written: "FID[digits_cnn]"."""
    name, bracket, extractor = metric.partition("[")
    return (SCORES[name].axis if name in SCORES else name) + bracket + extractor


def score_axis(metric: str, higher: bool) -> str:
    """The label of a score's axis, with the better direction."""
    return f"{score_name(metric)} ({'higher' if higher else 'lower'} is better)"


def cost_axis(cost: str) -> str:
    """The label of a cost's axis, with its unit."""
    return COSTS[cost].axis if cost in COSTS else cost.replace("_", " ")


def cost_short(cost: str) -> str:
    """The head of a cost's column."""
    return COSTS[cost].short if cost in COSTS else cost.replace("_", " ")


def higher_is_better(frame: pd.DataFrame, metric: str) -> bool:
    """Whether more of a metric is better: as the table says, else whether real images have more of it than samples."""
    words = SCORES.get(family(metric))
    if words is not None and words.higher_is_better is not None:
        return words.higher_is_better
    floor = floor_of(frame, metric)
    values = comparable(frame, metric, allow_mismatch=True)[metric]
    return floor is not None and len(values) > 0 and float(values.median()) < floor


def ranked(frame: pd.DataFrame, metric: str, cost: str | None = None) -> pd.DataFrame:
    """The summary of a metric, best mean first, whatever the protocols."""
    summary = summarise(frame, metric, cost, allow_mismatch=True)
    return summary.sort_values("mean", ascending=not higher_is_better(frame, metric), kind="stable")


def slug(*names: str) -> str:
    """Names as part of a file name: lower case, with dashes."""
    return "-".join(re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") for name in names)


def number(value: float | None, digits: int = 3) -> str:
    """A number as it is read: three significant digits, thousands as they are."""
    if value is None or pd.isna(value):
        return "–"
    if value != 0 and (abs(value) >= 1e7 or abs(value) < 1e-5):
        return f"{value:.{digits - 1}e}"
    if abs(value) >= 10**digits:
        return f"{value:.0f}"
    return f"{value:g}" if value == int(value) else f"{value:#.{digits}g}".rstrip(".")


def briefly(value: float) -> str:
    """A number inside a sentence: as `number`, without zeros at its end."""
    text = number(value)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def with_interval(mean: float, low: float, high: float) -> str:
    """A mean with half its interval to the same decimals, "31.4 ± 0.9"; the mean alone where there is no interval."""
    text, half = number(mean), (high - low) / 2
    if math.isnan(half) or math.isnan(mean):
        return text
    return f"{text} ± {number(half)}" if "e" in text else f"{text} ± {half:.{len(text.partition('.')[2])}f}"
