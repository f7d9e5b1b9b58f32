#!/usr/bin/env bash
# Mini-batch k-means gives fewer different centres than it was asked for.
#
# Guess:  MiniBatchKMeans(256) of 9,191 different points has 256 different centres.
# Seen:   Centres that win too few points are put on others, several on one point: 239 of 256 and 352 of 512 are different.
#         As the codebook of a tokenizer, codes are wasted, and the first of the equal ones takes all. KMeans has all.
# Here:   mgbench draws its own centres from different points and refines them by plain Lloyd steps.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-learn==1.9.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import numpy as np
import sklearn
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.datasets import load_digits

images = load_digits().images.reshape(-1, 4, 2, 4, 2)
patches = images.transpose(0, 1, 3, 2, 4).reshape(-1, 4)
points = len(np.unique(patches, axis=0))


def different(model):
    return len(np.unique(model.fit(patches).cluster_centers_.round(6), axis=0))


found = {codes: different(MiniBatchKMeans(codes, random_state=0, n_init=1)) for codes in (256, 512)}
whole = different(KMeans(256, random_state=0, n_init=1))
print(f"scikit-learn {sklearn.__version__}: {points} different points; of 256 centres {found[256]} are different, of 512 {found[512]}; KMeans: {whole}")
assert points > 9000
assert found[256] < 250 and found[512] < 450
assert whole == 256
PY
