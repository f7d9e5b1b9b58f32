#!/usr/bin/env bash
# A tokenizer that is in evaluation mode takes its codebook from the first images it sees.
#
# Guess:  VectorQuantize(kmeans_init=True) makes its codebook from the first batch in training; eval() changes no weight.
# Seen:   The first call makes it, in eval() and without gradients too. A loop that validates before it trains, as a sanity
#         check does, puts the codes on held-out images: with as many codes as vectors the error of the validation is 0,
#         before anything was learned, and training goes on from these codes.
# Here:   mgbench fits a tokenizer to training images before others are shown to it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6 vector-quantize-pytorch==1.32.0
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
from importlib.metadata import version

import torch
from vector_quantize_pytorch import VectorQuantize


def shown(**options):
    """The error on held-out vectors before any training, and whether the codebook changed."""
    torch.manual_seed(0)
    held_out = torch.randn(1, 64, 8)
    quantizer = VectorQuantize(8, 64, **options).eval()
    before = quantizer.codebook.clone()
    with torch.no_grad():
        chosen = quantizer(held_out)[0]
    return (chosen - held_out).square().mean().item(), not torch.equal(before, quantizer.codebook)


plain, means = shown(), shown(kmeans_init=True)
print(f"vector-quantize-pytorch {version('vector-quantize-pytorch')}: error on held-out vectors before training {plain[0]:.3f}, and {means[0]:.3f}"
      f" with kmeans_init; codebook changed in eval(): {plain[1]}, {means[1]}")
assert plain[0] > 0.1 and not plain[1]
assert means[0] < 1e-10 and means[1]
PY
