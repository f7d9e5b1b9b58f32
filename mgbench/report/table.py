"""Summary tables: a row per series and number of steps, and the reasons of rows that are not done."""

from pathlib import Path

import numpy as np
import pandas as pd

from mgbench.report.frame import (
    COUNT,
    POINT,
    REPEAT,
    SAMPLE_SEED,
    TOKENIZER,
    of_images,
    score_names,
    spell,
    taken_steps,
)
from mgbench.report.labels import declared_in
from mgbench.report.measures import cost_short, higher_is_better, in_rank, number, score_name, with_interval
from mgbench.report.summary import summarise

TABLE_COSTS = ("nfe", "seconds_per_image")
TOKENIZER_COSTS = ("tokens", "codes_used", "parameters", "fit_seconds")


def summary_table(frame: pd.DataFrame, allow_mismatch: bool = False) -> pd.DataFrame:
    """One row per (series, sampling_steps) of the methods, finished or not.

    Columns: series, sampling_steps (as asked for), taken (the mean of those taken), images (how many were scored; the
    fewest, where rows differ); nfe and seconds_per_image where known; for every score its mean, "<score> low" and
    "<score> high" (the 95 % interval over seeds); seeds (of how many a row finished), sample seeds (of each model at
    most) and status ("done", or "2 done, 1 failed").
    """
    frame = of_images(frame)
    keys = ["series", POINT]
    statuses = frame.groupby([*keys, "status"], sort=False, dropna=False).size().unstack(fill_value=0)
    table = pd.DataFrame(index=statuses.index)
    rows = frame[frame["status"] == "done"]
    finished = rows.assign(taken=taken_steps(rows)).groupby(keys, sort=False, dropna=False)
    table["taken"] = finished["taken"].mean()
    table["images"] = finished[COUNT].min() if COUNT in rows else np.nan
    for cost in (name for name in TABLE_COSTS if name in frame):
        table[cost] = finished[cost].mean()
    for metric in score_names(frame):
        summary = summarise(frame, metric, allow_mismatch=allow_mismatch).set_index(keys)
        table[metric], table[f"{metric} low"], table[f"{metric} high"] = (
            summary["mean"],
            summary["low"],
            summary["high"],
        )
    table["seeds"] = finished[REPEAT].nunique().reindex(table.index, fill_value=0)
    models = rows.groupby([*keys, REPEAT], sort=False, dropna=False)[SAMPLE_SEED].nunique(dropna=False)
    samplings = models.groupby(keys, sort=False, dropna=False).max()
    table["sample seeds"] = samplings.reindex(table.index, fill_value=0)
    table["status"] = [_status(row[row > 0]) for _, row in statuses.iterrows()]
    order = {name: place for place, name in enumerate(frame["series"].unique())}
    table = table.reset_index().sort_values(
        keys, key=lambda c: c.map(order) if c.name == "series" else c, ignore_index=True
    )
    table.attrs["declared"] = declared_in(frame)
    return table


def _status(counts: pd.Series) -> str:
    if len(counts) == 1:
        return str(counts.index[0])
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def printable(table: pd.DataFrame) -> pd.DataFrame:
    """A summary table as text for a terminal or a page: means with intervals, short heads, dashes for missing values."""
    shown = pd.DataFrame({"series": table["series"], "steps": steps_said(table)})
    for cost in (name for name in TABLE_COSTS if name in table):
        shown[cost_short(cost)] = table[cost].map(number)
    for metric in metrics_of(table):
        columns = zip(table[metric], table[f"{metric} low"], table[f"{metric} high"], strict=True)
        shown[score_name(table, metric)] = [with_interval(*values) for values in columns]
    shown = shown.assign(N=table["images"].map(number), seeds=table["seeds"].astype(str))
    if (table["sample seeds"] > 1).any():
        shown["sampling seeds"] = table["sample seeds"].astype(str)
    return shown.assign(status=table["status"])


def steps_said(table: pd.DataFrame) -> list[str]:
    """The steps of each row of a summary: those taken, and the requested ones if they differ."""
    return [steps_of(asked, taken) for asked, taken in zip(table[POINT], table["taken"], strict=True)]


def steps_of(asked: float, taken: float) -> str:
    """Steps in a table: "16", or "14 of 16" if fewer were taken than requested."""
    if pd.isna(taken) or pd.isna(asked) or round(taken) == round(asked):
        return number(asked if pd.isna(taken) else taken if pd.isna(asked) else asked)
    return f"{taken:.0f} of {asked:.0f}"


def metrics_of(table: pd.DataFrame) -> list[str]:
    """The scores of a summary table."""
    return [name.removesuffix(" low") for name in map(str, table) if name.endswith(" low")]


def best_per_series(frame: pd.DataFrame, table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The row with the best mean of each series, in the order of the table; empty for a score without a better
    direction.
    """
    scored = table.dropna(subset=[metric])
    higher = higher_is_better(frame, metric)
    order = scored[:0] if higher is None else in_rank(scored, metric, higher)
    return order.drop_duplicates("series").sort_index()


def problems(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows that are not done, grouped by status, series and reason."""
    rows = frame[frame["status"] != "done"]
    fitted = rows["about"] == TOKENIZER
    named = [f"tokenizer {spell(spec)}" for spec in rows.loc[fitted, "tokenizer"]]
    rows = rows.assign(series=rows["series"].mask(fitted, pd.Series(named, rows.index[fitted], dtype=object)))
    groups = rows.groupby(["status", "series", "reason"], sort=False)
    listed = [
        {
            "status": status,
            "series": series,
            "steps": _list(part[POINT]),
            "seeds": _list(part["seed"]),
            "reason": reason,
        }
        for (status, series, reason), part in groups
    ]
    return pd.DataFrame(listed, columns=["status", "series", "steps", "seeds", "reason"])


def _list(values: pd.Series) -> str:
    known = sorted({int(value) for value in values.dropna()})
    return ", ".join(map(str, known)) if len(known) <= 12 else f"{known[0]} … {known[-1]} ({len(known)} values)"


def tokenizer_table(frame: pd.DataFrame) -> pd.DataFrame:
    """The costs of every tokenizer, and the scores of its reconstructions, which are floors for its models."""
    rows = frame[(frame["about"] == TOKENIZER) & (frame["status"] == "done")]
    shown = pd.DataFrame({"tokenizer": rows["tokenizer"]})
    for cost in (name for name in TOKENIZER_COSTS if name in rows):
        shown[cost_short(cost)] = rows[cost].map(number)
    for metric in (name for name in score_names(frame) if rows[name].notna().any()):
        shown[score_name(frame, metric)] = rows[metric].map(number)
    if COUNT in rows:
        shown["N"] = rows[COUNT].map(number)
    return shown.reset_index(drop=True)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Every row and every column, for a spreadsheet or another program."""
    plain = frame.copy()
    for name in ("metrics", "warnings"):
        plain[name] = [spell(value) if isinstance(value, list | tuple) else value for value in plain[name]]
    plain.to_csv(path, index=False)
