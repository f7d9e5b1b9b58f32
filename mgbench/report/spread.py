"""The spread of scores over sampling seeds of one model, and between models.

Sampling a model with several seeds shows the noise of sampling alone. It does not include the variation between
trainings, so intervals are over training seeds, and this spread is shown separately.
"""

import numpy as np
import pandas as pd

from mgbench.report.frame import POINT, REPEAT, SAMPLE_SEED, of_images, score_names
from mgbench.report.labels import of_tokens
from mgbench.report.measures import number, score_name

COLUMNS = ["series", POINT, "metric", "mean", "within a model", "between models", "models", "sampling seeds"]
NOTE = (
    "Standard deviations. Within a model: over its sampling seeds, pooled over models. Between models: of their means, over "
    "training seeds. Intervals elsewhere are over training seeds alone."
)


def sampling_spread(frame: pd.DataFrame) -> pd.DataFrame:
    """The spread of every score, for each series and number of steps with a model that was sampled with several seeds.

    Columns: series, sampling_steps, metric, mean (of the means of models); "within a model", the standard deviation
    over the sampling seeds of one model (the root of the variances of models, weighted by their degrees of freedom);
    "between models", that of the means of models (missing where there is one); models, those with several sampling
    seeds; and sampling seeds, the fewest of these.
    """
    rows = of_images(frame)
    rows = rows[rows["status"] == "done"]
    found = [] if SAMPLE_SEED not in rows else [row for metric in score_names(rows) for row in _of_metric(rows, metric)]
    return pd.DataFrame(found, columns=COLUMNS).astype({"models": int, "sampling seeds": int})


def _of_metric(rows: pd.DataFrame, metric: str) -> list[dict[str, object]]:
    if of_tokens(rows, metric):
        return []
    scores = pd.to_numeric(rows[metric], errors="coerce")
    keys = [rows["series"], rows[POINT], rows["protocol"], rows[REPEAT], rows["training_key"]]
    models = scores.groupby(keys, sort=False, dropna=False).agg(["mean", "var", "count"])
    again = models["count"] > 1
    if not again.any():
        return []
    points = [0, 1, 2]
    sampled_again = models[again.groupby(level=points, sort=False, dropna=False).transform("any")]
    found = []
    for (series, steps, _), part in sampled_again.groupby(level=points, sort=False, dropna=False):
        several = part[part["count"] > 1]
        freedom = several["count"] - 1
        within = np.sqrt((several["var"] * freedom).sum() / freedom.sum())
        between = part["mean"].std(ddof=1) if len(part) > 1 else np.nan
        values = (series, steps, metric, part["mean"].mean(), within, between, len(several), several["count"].min())
        found.append(dict(zip(COLUMNS, values, strict=True)))
    return found


def printable_spread(frame: pd.DataFrame) -> pd.DataFrame:
    """`sampling_spread` as text for a terminal or a page; empty if no model was sampled several times."""
    table = sampling_spread(frame)
    shown = table.rename(columns={POINT: "steps", "metric": "score"}).astype(object)
    shown["score"] = [score_name(frame, name) for name in table["metric"]]
    shown["steps"] = [number(steps) for steps in table[POINT]]
    for name in ("mean", "within a model", "between models"):
        shown[name] = [number(value) for value in table[name]]
    return shown.astype(str)
