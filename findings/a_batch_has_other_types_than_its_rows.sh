#!/usr/bin/env bash
# Numbers of a data set have other types in a batch than in a row, and lose half of their digits.
#
# Guess:  with_format("numpy") gives a column the type that the data set says it has, one row or many.
# Seen:   A row has float64 and uint8, as the data set says; a batch of the same rows has float32 and int64, so that a stored
#         log-likelihood is another number. Pictures of fixed shape (Array2D of uint8) are int64 in both and take eight
#         times the memory. A type can be asked for, with_format("numpy", dtype=…), but one for all columns.
# Here:   mgbench's hub takes pictures from rows, in no format.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet datasets==5.2.0 pyarrow==26.0.1 pandas==3.1.1 numpy==2.4.6
HF_HUB_OFFLINE=1 HF_HOME="$folder/cache" "$folder/venv/bin/python" - <<'PY'
import datasets
import numpy as np

features = datasets.Features({"nats": datasets.Value("float64"), "grey": datasets.Value("uint8"), "picture": datasets.Array2D((2, 2), "uint8")})
data = datasets.Dataset.from_dict({"nats": [1 / 3, 2 / 3], "grey": [7, 9], "picture": np.zeros((2, 2, 2), np.uint8)}, features=features)
data = data.with_format("numpy")
row, batch = data[0], data[:]
types = {name: (str(row[name].dtype), str(batch[name].dtype)) for name in features}
print(f"datasets {datasets.__version__}: types of {dict(data.features)} in a row and in a batch: {types}")
print(f"1/3 in a row is off by {abs(float(row['nats']) - 1 / 3):.1e}, in a batch by {abs(float(batch['nats'][0]) - 1 / 3):.1e}")
assert types == {"nats": ("float64", "float32"), "grey": ("uint8", "int64"), "picture": ("int64", "int64")}
assert float(row["nats"]) == 1 / 3 != float(batch["nats"][0])
PY
