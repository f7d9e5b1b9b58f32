#!/usr/bin/env bash
# The moving average of diffusers warms up although its warm-up is off.
#
# Guess:  EMAModel(decay=0.9999, use_ema_warmup=False) moves by 1/10,000 of the way in every step.
# Seen:   The first step copies the weights, and step n then uses (1 + n)/(10 + n): 0.18 at first, 0.53 after ten steps,
#         0.9999 only after some 90,000. `use_ema_warmup` chooses between two warm-ups.
# Here:   mgbench averages with the decay that the recipe says, from the first step on.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6 diffusers==0.42.1
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import diffusers
import torch
from diffusers.training_utils import EMAModel

weights = [torch.nn.Parameter(torch.zeros(1))]
average = EMAModel(weights, decay=0.9999, use_ema_warmup=False)
weights[0].data.fill_(1.0)
seen = []
for _ in range(11):
    average.step(weights)
    seen.append(average.cur_decay_value)
print(f"diffusers {diffusers.__version__}: decays {[round(value, 3) for value in seen]}, average {average.shadow_params[0].item()}")
print(f"expected after eleven steps of 0.9999: {1 - 0.9999 ** 11:.4f}")
assert seen[0] == 0 and abs(seen[10] - 11 / 20) < 0.03, seen
assert average.shadow_params[0].item() == 1.0
PY
