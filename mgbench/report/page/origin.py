"""Where do the numbers come from? Protocols, devices and versions, and what was typed."""

import pandas as pd

from mgbench.report.frame import spell

# Columns of origin that say when and how, not where and with which versions.
WHEN = ("started", "finished")
COMMAND = "command"
MOST_VALUES = 6


def protocols(frame: pd.DataFrame) -> list[tuple[str, str, int]]:
    """Mark, protocol and number of rows."""
    known = frame[frame["protocol"].astype(bool)]
    counts = known.groupby(["mark", "protocol"], sort=False).size().reset_index(name="rows")
    return [(row["mark"].strip(), row["protocol"], int(row["rows"])) for row in counts.to_dict("records")]


def environment(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Device and versions, each with all values there are, and when it ran."""
    found = []
    for name in frame.attrs["origin"]:
        values = list(dict.fromkeys(spell(value) for value in frame[name].dropna()))
        if name not in (*WHEN, COMMAND) and values:
            more = f" and {len(values) - MOST_VALUES} more" if len(values) > MOST_VALUES else ""
            found.append((name.replace("_", " "), ", ".join(values[:MOST_VALUES]) + more))
    for name, pick in zip(WHEN, (min, max), strict=True):
        if name in frame and frame[name].notna().any():
            found.append((name, str(pick(frame[name].dropna().astype(str)))))
    return found


def study_commands(frame: pd.DataFrame) -> list[str]:
    """What to type to run it again: the study's command, else the commands of the rows."""
    if frame.attrs["command"]:
        return [frame.attrs["command"]]
    return list(frame[COMMAND].dropna().astype(str).unique()[:5]) if COMMAND in frame else []
