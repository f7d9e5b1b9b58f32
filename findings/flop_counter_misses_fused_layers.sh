#!/usr/bin/env bash
# PyTorch's FLOP counter sees nothing of layers that run in one fused kernel.
#
# Guess:  An nn.TransformerEncoder costs the same floating-point operations whether gradients are recorded or not.
# Seen:   In evaluation mode under no_grad, which is how models are sampled, the count is 0: the whole layer is one
#         operator that the counter has no formula for. nn.LSTM (on a CPU), nn.Bilinear and the attention kernel of CPUs
#         count 0 in every mode.
# Here:   mgbench turns the fused path off while it counts and adds formulas of its own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count(run):
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


layer = nn.TransformerEncoderLayer(64, 4, batch_first=True)
model, x = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval(), torch.randn(2, 16, 64)
with_gradients = count(lambda: model(x))
with torch.no_grad():
    without = count(lambda: model(x))
    training = count(lambda: model.train()(x))
    q = torch.randn(1, 4, 16, 16)
    attention = count(lambda: nn.functional.scaled_dot_product_attention(q, q, q))
    lstm = count(lambda: nn.LSTM(8, 8)(torch.randn(3, 2, 8)))
    bilinear = count(lambda: nn.Bilinear(8, 8, 8)(torch.randn(2, 8), torch.randn(2, 8)))
print(f"torch {torch.__version__}: encoder {with_gradients} with gradients, {training} in training mode, {without} under no_grad")
print(f"attention {attention}, LSTM {lstm}, Bilinear {bilinear}")
assert with_gradients > 1e6 and training > 1e6
assert (without, attention, lstm, bilinear) == (0, 0, 0, 0)
PY
