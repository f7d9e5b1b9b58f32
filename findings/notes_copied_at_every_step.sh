#!/usr/bin/env bash
# What is noted in the attrs of a frame is copied, to its last number, whenever a column is looked at.
#
# Guess:  attrs of a DataFrame are handed on with it, as a reference or at most a shallow copy.
# Seen:   Selecting a column copies them deeply, a merge seven times, a loop over the rows once for each row. With a table of
#         10,000 numbers noted there, looking at a column takes more than a hundred times as long as without. An object
#         whose __deepcopy__ returns itself is handed on.
# Here:   mgbench keeps what is known of a table of results there, in tuples that do not copy themselves.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pandas==3.1.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import timeit

import numpy as np
import pandas as pd


class Counted:
    """Counts how often it is copied deeply."""

    copies = 0

    def __deepcopy__(self, memo):
        Counted.copies += 1
        return self


frame = pd.DataFrame({"fid": np.arange(5.0), "method": list("aabbc")})
frame.attrs["noted"] = Counted()


def copies(work):
    Counted.copies = 0
    work()
    return Counted.copies


found = {
    "a column": copies(lambda: frame["fid"]),
    "five rows in a loop": copies(lambda: [row for _, row in frame.iterrows()]),
    "a condition": copies(lambda: frame[frame["fid"] > 1]),
    "a merge": copies(lambda: frame.merge(frame, on="method")),
    "a shallow copy": copies(lambda: frame.copy(deep=False)),
}
print(f"pandas {pd.__version__}: deep copies of attrs: {found}")
assert found == {"a column": 1, "five rows in a loop": 5, "a condition": 3, "a merge": 7, "a shallow copy": 1}

plain = pd.DataFrame({"fid": np.arange(5.0)})
full = plain.copy()
full.attrs["curve"] = {str(step): float(step) for step in range(10_000)}
without, with_it = (min(timeit.repeat(lambda: one["fid"], number=20, repeat=5)) for one in (plain, full))
print(f"looking at a column takes {with_it / without:.0f} times as long with 10,000 numbers noted")
assert with_it > 100 * without
PY
