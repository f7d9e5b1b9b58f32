#!/usr/bin/env bash
# Weights that change inside an autocast block are not seen there.
#
# Guess:  Under torch.autocast a layer computes with the weights it has: who loads averaged weights for a look at samples
#         and goes on within the block sees their samples.
# Seen:   The block keeps the low-precision copy it made of each weight at its first use, until the block ends. After
#         load_state_dict, or an in-place change, results are those of the old weights, bit for bit and without a
#         warning; in a new block they are those of the new.
# Here:   mgbench opens a block for each step, and averaged weights are a model of their own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import torch
from torch import nn

torch.manual_seed(0)
layer, x = nn.Linear(8, 8), torch.randn(4, 8)
averaged = {name: 2 * value for name, value in layer.state_dict().items()}
with torch.autocast("cpu", dtype=torch.bfloat16):
    before = layer(x)
    layer.load_state_dict(averaged)
    with torch.no_grad():
        within = layer(x)
with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
    after = layer(x)
print(f"torch {torch.__version__}: same as before within the block: {torch.equal(before, within)}, after it: {torch.equal(before, after)}")
assert torch.equal(before, within)
assert torch.allclose(after, 2 * before, rtol=0.05, atol=0.05) and not torch.equal(before, after)
PY
