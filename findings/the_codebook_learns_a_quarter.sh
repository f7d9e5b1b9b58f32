#!/usr/bin/env bash
# The VQ autoencoder of diffusers trains its codebook with a quarter of the loss, and the encoder with all of it.
#
# Guess:  commit_loss of VQModel is the loss of the VQ-VAE: the codes move to the encoder's vectors with weight 1, the
#         vectors to the codes with weight beta = 0.25.
# Seen:   The two are exchanged: the gradient of the codes has weight 0.25 and that of the vectors 1. The value of the loss
#         is the same, so nothing shows it. No option of VQModel changes it.
# Here:   mgbench's codebooks follow moving averages, and its commitment loss moves only the encoder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6 diffusers==0.42.1
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import diffusers
import torch
from diffusers import VQModel

print(f"diffusers {diffusers.__version__}")
for seed in (0, 1):
    torch.manual_seed(seed)
    model = VQModel(block_out_channels=(8,), latent_channels=4, num_vq_embeddings=16, norm_num_groups=8)
    vectors = torch.randn(2, 4, 8, 8, requires_grad=True)
    chosen, loss, (_, _, codes) = model.quantize(vectors)
    loss.backward()
    table = model.quantize.embedding.weight
    apart = (chosen - vectors).detach()
    # The gradients of the mean squared distance, for the vectors and for the codes that they chose.
    of_vectors = -2 * apart / apart.numel()
    of_codes = torch.zeros_like(table).index_add(0, codes.ravel(), -of_vectors.permute(0, 2, 3, 1).reshape(-1, 4))
    encoder = (vectors.grad * of_vectors).sum() / of_vectors.square().sum()
    codebook = (table.grad * of_codes).sum() / of_codes.square().sum()
    print(f"seed {seed}: the encoder is trained with weight {encoder:.3f}, the codebook with {codebook:.3f}")
    assert torch.allclose(vectors.grad, of_vectors, rtol=1e-3, atol=1e-7)
    assert torch.allclose(table.grad, 0.25 * of_codes, rtol=1e-3, atol=1e-7)
    assert torch.allclose(loss, 1.25 * apart.square().mean(), rtol=1e-4)
PY
