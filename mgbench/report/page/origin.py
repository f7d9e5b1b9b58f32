"""The origin of the numbers: protocols, devices, versions and commands."""

import pandas as pd

from mgbench.report.frame import COMMAND, WHEN, spell

MEMORY = "gpu_memory"
MOST_VALUES = 6


def protocols(frame: pd.DataFrame) -> list[tuple[str, str, int]]:
    """Mark, protocol and number of rows."""
    known = frame[frame["protocol"].astype(bool)]
    counts = known.groupby(["mark", "protocol"], sort=False).size().reset_index(name="rows")
    return [(row["mark"].strip(), row["protocol"], int(row["rows"])) for row in counts.to_dict("records")]


def environment(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Device and versions with all their values, and the time of the runs."""
    found = []
    for name in frame.attrs["origin"]:
        # Columns with lists, such as plugins, are shown as the set of all elements.
        listed = frame[name].map(lambda value: isinstance(value, list)).any()
        values = list(dict.fromkeys(_said(name, value) for value in frame[name].explode().dropna()))
        if name not in (*WHEN, COMMAND) and values:
            most = len(values) if listed else MOST_VALUES
            more = f" and {len(values) - most} more" if len(values) > most else ""
            found.append((name.replace("_", " "), ", ".join(values[:most]) + more))
    for name, pick in zip(WHEN, (min, max), strict=True):
        if name in frame and frame[name].notna().any():
            found.append((name, str(pick(frame[name].dropna().astype(str)))))
    return found


def _said(name: str, value: object) -> str:
    return f"{value / 2**30:.0f} GiB" if name == MEMORY and isinstance(value, int | float) else spell(value)


def study_commands(frame: pd.DataFrame) -> list[str]:
    """The commands that repeat it: that of the study, or those of the rows."""
    if frame.attrs["command"]:
        return [frame.attrs["command"]]
    return list(frame[COMMAND].dropna().astype(str).unique()[:5]) if COMMAND in frame else []
