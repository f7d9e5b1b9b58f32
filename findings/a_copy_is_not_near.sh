#!/usr/bin/env bash
# A picture is not at distance 0 from its copy, if there are more than 25 of them.
#
# Guess:  torch.cdist of features with themselves has zeros on its diagonal, so that copies of training images are those
#         at distance 0.
# Seen:   From 26 rows on the distance is computed by a matrix product, whose rounding is taken under a root: features of
#         Inception's size and scale are up to 0.02 from themselves, a quarter of them not at 0; with 25 rows all are.
# Here:   mgbench computes distances in float64 of centred features, and takes what is below the rounding for 0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import torch

features = torch.rand(500, 2048, generator=torch.Generator().manual_seed(0))


def itself(count, **options):
    return torch.cdist(features[:count], features[:count], **options).diagonal()


few, many = itself(25), itself(500)
exact = itself(500, compute_mode="donot_use_mm_for_euclid_dist")
print(f"torch {torch.__version__}: of 25 features {(few == 0).sum()} are at distance 0 from themselves, of 500 {(many == 0).sum()}, "
      f"the farthest at {many.max():.3f}; without the product {(exact == 0).sum()}")
assert (few == 0).all() and (exact == 0).all()
assert (itself(26) > 0).any()
assert (many == 0).sum() < 480 and many.max() > 0.005
PY
