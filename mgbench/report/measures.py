"""What is a number called, in which unit, and which way is better?

Records hold names and numbers only, so this is the one place where the report knows names: a table of words, never a
branch. A name that is not in it is shown as it is, and its better direction is the one that leads to real images.
"""

import math
import re
from dataclasses import dataclass

import pandas as pd

from mgbench.report.summary import comparable, floor_of, summarise


@dataclass(frozen=True)
class Words:
    """How a score or a cost is called on an axis and in a table."""

    axis: str
    short: str
    higher_is_better: bool | None = None


SCORES = {
    "fid": Words("FID", "FID", False),
    "fid_infinity": Words("FID∞", "FID∞", False),
    "sfid": Words("sFID", "sFID", False),
    "kid": Words("KID", "KID", False),
    "cmmd": Words("CMMD", "CMMD", False),
    "accuracy": Words("Accuracy", "Accuracy", True),
    "precision": Words("Precision", "Precision", True),
    "recall": Words("Recall", "Recall", True),
    "density": Words("Density", "Density", True),
    "coverage": Words("Coverage", "Coverage", True),
    "inception_score": Words("Inception score", "IS", True),
    "bits_per_dim": Words("Bits per dimension", "bits/dim", False),
    "rmse": Words("RMSE (grey levels)", "RMSE", False),
    "torch_fidelity_inception_score": Words("Inception score by torch-fidelity", "IS (t-f)", True),
    "torch_fidelity_fid": Words("FID by torch-fidelity", "FID (t-f)", False),
    "torch_fidelity_kid": Words("KID by torch-fidelity", "KID (t-f)", False),
    "torch_fidelity_precision": Words("Precision by torch-fidelity", "Precision (t-f)", True),
    "torch_fidelity_recall": Words("Recall by torch-fidelity", "Recall (t-f)", True),
    "clean_fid": Words("FID by clean-fid", "clean FID", False),
    "clean_kid": Words("KID by clean-fid", "clean KID", False),
    "clean_fid_legacy_pytorch": Words("FID by clean-fid, resized by PyTorch", "FID (pytorch)", False),
    "clean_kid_legacy_pytorch": Words("KID by clean-fid, resized by PyTorch", "KID (pytorch)", False),
    "clean_fid_legacy_tensorflow": Words("FID by clean-fid, resized by the extractor", "FID (tensorflow)", False),
    "clean_kid_legacy_tensorflow": Words("KID by clean-fid, resized by the extractor", "KID (tensorflow)", False),
}
COSTS = {
    "steps_taken": Words("Steps taken", "steps taken"),
    "nfe": Words("NFE (network forwards per image)", "NFE"),
    "seconds_per_image": Words("Time (seconds per image)", "s/image"),
    "head_evaluations": Words("Head evaluations (per token)", "head/token"),
    "train_seconds": Words("Training time (seconds)", "train s"),
    "train_images_per_second": Words("Training speed (images per second)", "train img/s"),
    "token_forwards": Words("Token-forwards (tokens through a block per image)", "tokens"),
    "flops_per_image": Words("Arithmetic (FLOPs per image)", "FLOPs/image"),
    "peak_memory_bytes": Words("Peak memory (bytes)", "memory"),
    "sampling_batch": Words("Images drawn at once", "batch"),
    "train_flops": Words("Training arithmetic (FLOPs)", "train FLOPs"),
    "train_utilisation": Words("Model FLOPs utilisation", "MFU"),
    "parameters": Words("Parameters", "parameters"),
    "bits_per_dim_error": Words("Standard error of the bits per dimension", "± bits/dim"),
    "tokens": Words("Tokens per image", "tokens"),
    "codes_used": Words("Share of the codes that held-out images use", "codes used"),
    "fit_seconds": Words("Fitting time of the tokenizer (seconds)", "fit s"),
}


def family(metric: str) -> str:
    """The metric without its extractor: "fid" of "fid[digits_cnn]"."""
    return metric.partition("[")[0]


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
