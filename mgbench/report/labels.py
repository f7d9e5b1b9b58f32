"""Labels of costs, and declarations of scores.

Records have costs by name only, so this table is the only place in the report with names of costs. Labels and
directions of scores are declared by their metrics, and stored in records.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import pandas as pd

from mgbench.interfaces.scores import ScoreInfo


@dataclass(frozen=True)
class Words:
    """The label of a cost on an axis, and its short form in a table."""

    axis: str
    short: str


class Uncopied:
    """A value in the `attrs` of a frame that its copies share; pandas would copy it deeply with every frame."""

    def __deepcopy__(self, _: object) -> Self:
        return self


class Declared(Uncopied, dict[str, ScoreInfo]):
    """Declarations of scores, by the names of their columns."""


UNDECLARED = Declared()


COSTS = {
    "steps_taken": Words("Steps taken", "steps taken"),
    "nfe": Words("NFE (network forwards per image)", "NFE"),
    "seconds_per_image": Words("Time (seconds per image)", "s/image"),
    "head_evaluations": Words("Head evaluations (per token)", "head/token"),
    "train_seconds": Words("Training time (seconds)", "train s"),
    "train_images_per_second": Words("Training speed (images per second)", "train img/s"),
    "token_forwards": Words("Token-forwards (tokens through a block per image)", "tokens"),
    "flops_per_image": Words("FLOPs per image", "FLOPs/image"),
    "peak_memory_bytes": Words("Peak memory (bytes)", "memory"),
    "sampling_batch": Words("Images drawn at once", "batch"),
    "train_flops": Words("Training FLOPs", "train FLOPs"),
    "train_utilisation": Words("Model FLOPs utilisation", "MFU"),
    "parameters": Words("Parameters", "parameters"),
    "bits_per_dim_error": Words("Standard error of the bits per dimension", "± bits/dim"),
    "tokens": Words("Tokens per image", "tokens"),
    "codes_used": Words("Share of the codes that held-out images use", "codes used"),
    "fit_seconds": Words("Fitting time of the tokenizer (seconds)", "fit s"),
}


def family(metric: str) -> str:
    """The metric without its extractor or tokenizer: "fid" of "fid[digits_cnn]"."""
    return metric.partition("[")[0]


def read_declaration(plain: Mapping[str, str]) -> ScoreInfo | None:
    """The declaration that a record holds; None where a newer or foreign one cannot be read."""
    try:
        info = ScoreInfo(**plain)  # type: ignore[arg-type]
    except TypeError:
        return None
    return info if info.better in ("lower", "higher") else None


def declared_in(frame: pd.DataFrame) -> Mapping[str, ScoreInfo]:
    """The declarations of the scores of a frame, by column."""
    found: Mapping[str, ScoreInfo] = frame.attrs.get("declared", UNDECLARED)
    return found


def of_tokens(frame: pd.DataFrame, metric: str) -> bool:
    """Whether a score measures a model by the tokens of real images, and not by what is sampled from it."""
    info = declared_in(frame).get(metric)
    return info is not None and info.of == "tokens"
