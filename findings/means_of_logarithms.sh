#!/usr/bin/env bash
# The mean that seaborn draws depends on when the axis was made logarithmic.
#
# Guess:  lineplot, pointplot and barplot show the arithmetic mean of equal x (over seeds, say); a logarithmic axis only
#         changes where it is drawn.
# Seen:   On axes that are logarithmic already, they average the logarithms and show the geometric mean; the same call
#         followed by set_yscale("log") shows the arithmetic one. 1 and 100 have the mean 10 or 50.5.
# Here:   mgbench takes means and spreads before it draws, and gives seaborn single values (estimator=None).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet seaborn==0.13.2 matplotlib==3.11.2 pandas==3.1.1 numpy==2.4.6
MPLBACKEND=agg OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

scores = pd.DataFrame({"steps": [1, 1, 2, 2], "fid": [1.0, 100.0, 2.0, 8.0]})


def drawn(plot, logarithmic_first):
    axes = plt.figure().subplots()
    if logarithmic_first:
        axes.set_yscale("log")
    plot(scores, x="steps", y="fid", errorbar=None, ax=axes)
    axes.set_yscale("log")
    return [bar.get_height() for bar in axes.patches] or axes.lines[0].get_ydata().tolist()


for plot in (sns.lineplot, sns.pointplot, sns.barplot):
    first, after = drawn(plot, True), drawn(plot, False)
    print(f"seaborn {sns.__version__}, {plot.__name__}: {np.round(first, 3)} if the axis was logarithmic first, {np.round(after, 3)} if made so after")
    assert np.allclose(after, [50.5, 5])
    assert np.allclose(first, [10, 4])
PY
