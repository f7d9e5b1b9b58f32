"""The mean of each series over seeds at each number of steps, with its 95 % interval; floors and the Pareto front."""

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from mgbench.errors import UserError, suggestion
from mgbench.report.frame import ABOUT, FLOOR, IMAGES, POINT, REPEAT, TOKENIZER, of_images, score_names, taken_steps
from mgbench.report.labels import of_tokens

CONFIDENCE = 0.95
MARK = "mark"


def mark_protocols(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with series of all protocols but the first marked "†1", "†2", …."""
    if MARK in frame:
        return frame
    protocols = [name for name in frame.loc[frame[ABOUT] == IMAGES, "protocol"].unique() if name]
    marks = {name: f" †{place}" if place else "" for place, name in enumerate(protocols)}
    mark = [marks.get(name, "") for name in frame["protocol"]]
    series = [f"{name}{sign}" for name, sign in zip(frame["series"], mark, strict=True)]
    return frame.assign(**{"series": series, MARK: mark})


def comparable(frame: pd.DataFrame, metric: str, allow_mismatch: bool = False) -> pd.DataFrame:
    """The finished rows of methods that have a metric, which must have been obtained under one protocol.

    Raises:
        UserError: if there is no such metric, or if there are several protocols and `allow_mismatch` is false.
    """
    if metric not in frame:
        raise UserError(f"no row has a score {metric!r}; {suggestion(metric, frame.attrs.get('scores', ()))}")
    values = pd.to_numeric(frame[metric], errors="coerce")
    rows = frame[(frame[ABOUT] == IMAGES) & (frame["status"] == "done") & np.isfinite(values)].infer_objects()
    protocols = rows["protocol"].unique()
    if len(protocols) > 1 and not allow_mismatch:
        shown = " and ".join(repr(name) for name in protocols[:2])
        more = f" (and {len(protocols) - 2} more)" if len(protocols) > 2 else ""
        raise UserError(
            f"rows of {metric} are not comparable: they were obtained under {shown}{more}; "
            "name one study, or pass --allow-mismatch to see them marked"
        )
    return mark_protocols(rows) if allow_mismatch else rows


def summarise(frame: pd.DataFrame, metric: str, cost: str | None = None, allow_mismatch: bool = False) -> pd.DataFrame:
    """The mean of a metric over seeds per (series, sampling_steps), with its 95 % interval (Student's t).

    Only seeds are replicates: rows of one seed are averaged first, including those of several sampling seeds. Columns:
    series, sampling_steps, count (of seeds), mean, low, high (the last two missing where there is one seed), taken (the
    mean of the steps that were taken), and `cost`, the mean of the cost, if one is named. Series stand in the order of
    the frame.

    Raises:
        UserError: if there is no such metric or cost, or the rows are not comparable.
    """
    rows = comparable(frame, metric, allow_mismatch)
    if cost is not None and cost not in frame:
        raise UserError(f"no row has a cost {cost!r}; {suggestion(cost, frame.attrs.get('costs', ()))}")
    rows = rows.assign(**{metric: pd.to_numeric(rows[metric]), "taken": taken_steps(rows)})
    wanted = [metric, "taken", *([cost] if cost is not None else [])]
    groups = _by_seed(rows, ["series", POINT], wanted).groupby(["series", POINT], sort=False, dropna=False)
    result = groups[metric].agg(count="count", mean="mean", deviation="std")
    half = half_width(result["deviation"].to_numpy(), result["count"].to_numpy())
    result = result.assign(low=result["mean"] - half, high=result["mean"] + half).drop(columns="deviation")
    result["taken"] = groups["taken"].mean()
    if cost is not None:
        result["cost"] = groups[cost].mean()
    return _in_order(result.reset_index(), rows)


def _by_seed(rows: pd.DataFrame, keys: list[str], values: list[str]) -> pd.DataFrame:
    """One row per seed under the keys: the mean of its rows, where it has several."""
    if REPEAT not in rows or not rows.duplicated([*keys, REPEAT]).any():
        return rows
    numbers = rows[values].apply(pd.to_numeric, errors="coerce").assign(**rows[[*keys, REPEAT]])
    means: pd.DataFrame = numbers.groupby([*keys, REPEAT], sort=False, dropna=False)[values].mean().reset_index()
    return means


def sampled_scores(frame: pd.DataFrame) -> list[str]:
    """The scores that depend on sampling: not those of tokens, nor those with one number per model."""
    images = of_images(frame)
    return [name for name in score_names(images) if not of_tokens(frame, name) and not _one_per_model(images, name)]


def _one_per_model(frame: pd.DataFrame, metric: str) -> bool:
    values = comparable(frame, metric, allow_mismatch=True).groupby("training_key")[metric].agg(["nunique", "size"])
    return len(values) > 1 and bool((values["nunique"] == 1).all() and (values["size"] > 1).all())


def half_width(deviation: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Half of the interval of a mean of `count` values; NaN for one value."""
    freedom = np.where(count > 1, count - 1, np.nan)
    half: np.ndarray = stdtrit(freedom, 0.5 + CONFIDENCE / 2) * deviation / np.sqrt(count)
    return half


def _in_order(result: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    order = {name: place for place, name in enumerate(rows["series"].unique())}
    return result.sort_values(
        ["series", POINT], key=lambda column: column.map(order) if column.name == "series" else column
    )


def floor_of(frame: pd.DataFrame, metric: str) -> float | None:
    """The score of as many real images (the mean over finished rows), or None if it was not measured."""
    name = FLOOR + metric
    if name not in frame:
        return None
    rows = of_images(frame)
    values = pd.to_numeric(rows.loc[rows["status"] == "done", name], errors="coerce").dropna()
    return float(values.mean()) if len(values) else None


def reconstruction_floors(frame: pd.DataFrame, metric: str, rows: pd.DataFrame) -> dict[str, float]:
    """The score of real images after encoding and decoding, by tokenizer.

    A method with this tokenizer cannot be expected to be better.
    """
    if metric not in frame:
        return {}
    known = frame[(frame[ABOUT] == TOKENIZER) & (frame["status"] == "done")]
    known = known.assign(**{metric: pd.to_numeric(known[metric], errors="coerce")}).dropna(subset=[metric])
    used = rows[["tokenizer", "dataset"]].drop_duplicates()
    return {str(name): float(part.mean()) for name, part in known.merge(used).groupby("tokenizer", sort=False)[metric]}


def pareto(summary: pd.DataFrame, higher: bool | None) -> pd.DataFrame:
    """The Pareto front of a summary in cost and mean, from the cheapest to the best.

    It is empty if no better direction is declared.
    """
    if higher is None:
        return summary[:0]
    order = summary.dropna(subset=["cost", "mean"])
    order = order.sort_values(["cost", "mean"], ascending=[True, not higher], kind="stable")
    best = order["mean"].cummax() if higher else order["mean"].cummin()
    return order[(best != best.shift()).to_numpy(bool)]
