#!/usr/bin/env bash
# A score that the first rows do not have is lost when rows become a table.
#
# Guess:  Rows of results, dictionaries of which later ones have another score or a number with a fraction, become a table
#         with all of it, and blanks where there was none, as with pandas.
# Seen:   pyarrow and datasets take the columns of the first row; polars takes those of the first 100 rows, and their types:
#         after 100 rows of guidance 1, a guidance of 1.5 is 1. All without a word.
# Here:   mgbench makes its tables with pandas, and Parquet from these.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyarrow==26.0.1 datasets==5.2.0 pandas==3.1.1 polars==2.1.0 numpy==2.4.6
HF_HUB_OFFLINE=1 HF_HOME="$folder/cache" "$folder/venv/bin/python" - "$folder" <<'PY'
import datasets
import pandas as pd
import polars as pl
import pyarrow as pa

rows = [{"guidance": 1, "fid": 3.5}] * 100 + [{"guidance": 1.5, "fid": 3.0, "recall": 0.5}]
every = ["guidance", "fid", "recall"]
tables = {
    f"pandas {pd.__version__}": pd.DataFrame(rows).to_dict("records"),
    f"pyarrow {pa.__version__}": pa.Table.from_pylist(rows).to_pylist(),
    f"datasets {datasets.__version__}": datasets.Dataset.from_list(rows).to_list(),
    f"polars {pl.__version__}": pl.DataFrame(rows).to_dicts(),
    "polars, all but the first row": pl.DataFrame(rows[1:]).to_dicts(),
}
for name, table in tables.items():
    print(f"{name}: the last row is {table[-1]}")
kept, arrow, sets, late, early = (table[-1] for table in tables.values())
assert kept == early == {"guidance": 1.5, "fid": 3.0, "recall": 0.5}
assert arrow == sets == {"guidance": 1.5, "fid": 3.0}
assert late == {"guidance": 1, "fid": 3.0}
PY
