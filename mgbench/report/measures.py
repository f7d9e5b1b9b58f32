"""Formatting of scores, costs, and values with intervals."""

import math
import re

import pandas as pd

from mgbench.interfaces.scores import ScoreInfo
from mgbench.report.frame import COUNT, of_images, score_names
from mgbench.report.labels import COSTS, declared_in, family
from mgbench.report.names import short_specs
from mgbench.report.summary import summarise


def score_name(frame: pd.DataFrame, metric: str) -> str:
    """The name of a score in text and table heads, from its declaration: "FID[digits_cnn]".

    A score of tokens names its tokenizer only where the frame has that score of several tokenizers.
    """
    info = declared_in(frame).get(metric)
    if info is None or info.of != "tokens":
        return declared_name(metric, info)
    kin = [name for name in declared_in(frame) if family(name) == family(metric)]
    short = short_specs(_inner(name) for name in kin)
    return info.label if len(kin) < 2 else f"{info.label} ({short[_inner(metric)]})"


def declared_name(metric: str, info: ScoreInfo | None) -> str:
    """A score by the label and unit that its metric declares, with what stands in brackets: "FID[digits_cnn]"."""
    name, bracket, inner = metric.partition("[")
    unit = f" ({info.unit})" if info and info.unit else ""
    return (name if info is None else info.label) + bracket + inner + unit


def _inner(metric: str) -> str:
    return metric.partition("[")[2].removesuffix("]")


def score_axis(frame: pd.DataFrame, metric: str, count: bool = True) -> str:
    """The label of a score's axis, with how many images it is of (if wanted) and the better direction."""
    info = declared_in(frame).get(metric)
    images = images_scored(frame, metric) if count and (info is None or info.of != "tokens") else ""
    said = [images, f"{info.better} is better" if info else ""]
    inside = ", ".join(part for part in said if part)
    return score_name(frame, metric) + (f" ({inside})" if inside else "")


def images_scored(frame: pd.DataFrame, metric: str = "") -> str:
    """The number of images that the scores are of, as "N = 500"; empty where no protocol says it."""
    counts = counts_scored(frame, metric)
    if not counts:
        return ""
    return f"N = {counts[0]:,}" + (f" to {counts[-1]:,}" if len(counts) > 1 else "")


def counts_scored(frame: pd.DataFrame, metric: str = "") -> list[int]:
    """The numbers of images that finished rows (with a score, if one is named) are scored on, rising."""
    rows = of_images(frame)
    rows = rows if len(rows) else frame
    if COUNT not in rows:
        return []
    rows = rows[(rows["status"] == "done") & (rows[metric].notna() if metric in rows else True)]
    return sorted({int(count) for count in rows[COUNT].dropna().unique()})


def cost_axis(cost: str) -> str:
    """The label of a cost's axis, with its unit."""
    return COSTS[cost].axis if cost in COSTS else cost.replace("_", " ")


def cost_short(cost: str) -> str:
    """The head of a cost's column."""
    return COSTS[cost].short if cost in COSTS else cost.replace("_", " ")


def higher_is_better(frame: pd.DataFrame, metric: str) -> bool | None:
    """Whether more of a score is better, as its metric declares; None where it declares nothing."""
    info = declared_in(frame).get(metric)
    return None if info is None else info.better == "higher"


def ranked_scores(frame: pd.DataFrame) -> list[str]:
    """The scores whose better direction is declared, so that one of them can be the best."""
    return [name for name in score_names(frame) if higher_is_better(frame, name) is not None]


def ranked(frame: pd.DataFrame, metric: str, cost: str | None = None) -> pd.DataFrame:
    """The summary of a metric, best mean first, whatever the protocols; in the order of the frame where none is best."""
    return in_rank(summarise(frame, metric, cost, allow_mismatch=True), "mean", higher_is_better(frame, metric))


def in_rank(table: pd.DataFrame, column: str, higher: bool | None) -> pd.DataFrame:
    """A table with the best of a column first; as it is where no direction is the better one."""
    return table if higher is None else table.sort_values(column, ascending=not higher, kind="stable")


def slug(*names: str) -> str:
    """Names as part of a file name: lower case, with dashes."""
    return "-".join(re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") for name in names)


def number(value: float | None, digits: int = 3) -> str:
    """Format a number with three significant digits, and without an exponent in the thousands."""
    if value is None or pd.isna(value):
        return "–"
    if value != 0 and (abs(value) >= 1e7 or abs(value) < 1e-5):
        return f"{value:.{digits - 1}e}"
    if abs(value) >= 10**digits:
        return f"{value:.0f}"
    return f"{value:g}" if value == int(value) else f"{value:#.{digits}g}".rstrip(".")


def briefly(value: float) -> str:
    """Format a number for a sentence: as `number`, without trailing zeros."""
    text = number(value)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def with_interval(mean: float, low: float, high: float) -> str:
    """A mean with half its interval to the same decimals, "31.4 ± 0.9"; the mean alone where there is no interval."""
    text, half = number(mean), (high - low) / 2
    if math.isnan(half) or math.isnan(mean):
        return text
    return f"{text} ± {number(half)}" if "e" in text else f"{text} ± {half:.{len(text.partition('.')[2])}f}"
