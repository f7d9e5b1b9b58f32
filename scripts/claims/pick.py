"""What to pick at a number of network forwards: the best mean score among rows that need at most that many."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from mgbench.report.frame import of_images, score_names, without_same
from mgbench.report.judging import FEWEST
from mgbench.report.measures import higher_is_better, number, with_interval
from mgbench.report.names import short_names
from mgbench.report.paired import Points
from mgbench.report.summary import summarise
from scripts.claims.gather import Kept, framed

BUDGETS = (1, 4, 8, 16, 32)
MOST_TIED = 5
HEAD = "| NFE at most | best | {score} | its NFE | s/image | trained for | not separated from it |\n|---|---|---|---|---|---|---|"


def picks(studies: Sequence[Kept]) -> Iterator[str]:
    """A table for each dataset and protocol: the best at every budget, and what its paired interval does not separate."""
    groups: dict[tuple[str, str], dict[str, Kept]] = {}
    for study in studies:
        for record in study.records:
            if record.about == "images" and record.status == "done":
                groups.setdefault((study.data, record.protocol), {})[study.name] = study
    for (data, protocol), kept in groups.items():
        table = list(_table(list(kept.values()), protocol))
        if table:
            yield f"### On {data}\n"
            yield from table
            yield ""


def _table(studies: Sequence[Kept], protocol: str) -> Iterator[str]:
    records = {record.key: record for study in studies for record in study.records if record.protocol == protocol}
    frame = without_same(of_images(framed(list(records.values()))))
    metric = next(iter(score_names(frame)), "")
    if not metric or "nfe" not in frame or higher_is_better(frame, metric) is None:
        return
    beside = {
        name: summarise(frame, metric, name)["cost"] for name in ("seconds_per_image", "train_steps") if name in frame
    }
    points = summarise(frame, metric, "nfe").assign(**beside)
    points = points[points["count"] >= FEWEST].reset_index(drop=True)
    lines = [line for budget in BUDGETS if (line := _line(frame, metric, points[points["cost"] <= budget], budget))]
    if lines:
        yield HEAD.format(score=metric.partition("[")[0].upper())
        yield from lines


def _line(frame: pd.DataFrame, metric: str, points: pd.DataFrame, budget: int) -> str:
    """The row of a budget; empty if no point fits it."""
    if points.empty:
        return ""
    points = points.sort_values("mean", ascending=not higher_is_better(frame, metric), kind="stable", ignore_index=True)
    best, short = points.iloc[0], short_names(points["series"])
    rest = np.arange(1, len(points))
    apart = Points.of(frame, metric, points).apart(rest, np.zeros(len(rest), int)) if len(rest) else np.zeros(0)
    tied = [_named(points.iloc[place], short) for place, told in zip(rest, apart, strict=True) if told != 1]
    more = f" and {len(tied) - MOST_TIED} more" if len(tied) > MOST_TIED else ""
    cells = (
        str(budget), f"**{_named(best, short)}**", with_interval(best["mean"], best["low"], best["high"]),
        number(best["cost"]), number(best.get("seconds_per_image")), f"{number(best.get('train_steps'))} steps",
        "; ".join(tied[:MOST_TIED]) + more or "–",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _named(point: pd.Series, short: dict[str, str]) -> str:
    steps = point["taken"]
    return f"{short[point['series']]} at {steps:.0f} step{'s' if steps > 1 else ''}"
