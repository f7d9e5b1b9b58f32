"""Agreement of scores with second implementations, on the same images."""

import numpy as np
import pandas as pd

from mgbench.report.frame import of_images, score_names
from mgbench.report.labels import declared_in, family
from mgbench.report.measures import briefly, score_name
from mgbench.results.wording import counted

COLUMNS = ["score", "by", "rows", "difference"]


def agreement(frame: pd.DataFrame) -> pd.DataFrame:
    """The difference of each score from the scores that check it, over finished rows with both.

    Columns: score, by (the second implementation), rows, and difference, the largest |by - score| / |score| of a row.
    """
    rows = of_images(frame)
    rows = rows[rows["status"] == "done"]
    found = []
    for by in score_names(rows):
        info = declared_in(frame).get(by)
        score = f"{info.checks}{by.removeprefix(family(by))}" if info and info.checks else ""
        if score not in rows:
            continue
        ours, theirs = (pd.to_numeric(rows[name], errors="coerce").to_numpy(float) for name in (score, by))
        both = np.isfinite(ours) & np.isfinite(theirs) & (ours != 0)
        if both.any():
            difference = np.max(np.abs(theirs[both] - ours[both]) / np.abs(ours[both]))
            found.append(dict(zip(COLUMNS, (score, by, int(both.sum()), float(difference)), strict=True)))
    return pd.DataFrame(found, columns=COLUMNS)


def agreement_said(frame: pd.DataFrame) -> list[str]:
    """A sentence about each pair in `agreement`."""
    said = []
    for row in agreement(frame).to_dict("records"):
        names = [score_name(frame, str(row[side])) for side in ("by", "score")]
        said.append(
            f"{names[0]} differs from our {names[1]} by at most {briefly(100 * row['difference'])} % of it, on the same images "
            f"of {counted(row['rows'], 'row')}."
        )
    return said
