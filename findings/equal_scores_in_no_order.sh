#!/usr/bin/env bash
# The k best of equal scores depend on k.
#
# Guess:  torch.topk of equal values takes the first ones, as numpy's stable sort and JAX's top_k do, so that the best 5
#         begin with the best 2.
# Seen:   Which ones it takes changes with k, and sorting downwards begins somewhere in the middle: a sampler that
#         unmasks the k most confident tokens picks other tokens when confidences are equal (a fresh model, a saturated
#         softmax).
# Here:   mgbench ranks with stable sorts.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import numpy as np
import torch

scores = torch.zeros(64)
best = {k: torch.topk(scores, k).indices.tolist() for k in (1, 2, 5, 20)}
order = torch.sort(torch.zeros(2000), descending=True).indices[:3].tolist()
print(f"torch {torch.__version__}: the best 1, 2, 5 of equal scores are {best[1]}, {best[2]}, {best[5]}; a sort begins {order}")
assert best[5][:2] != best[2]
assert order != [0, 1, 2]
assert torch.sort(torch.zeros(2000), descending=True, stable=True).indices[:3].tolist() == [0, 1, 2]
assert np.argsort(-scores.numpy(), kind="stable")[:5].tolist() == [0, 1, 2, 3, 4]
PY
