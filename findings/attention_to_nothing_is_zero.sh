#!/usr/bin/env bash
# Attention of a row that may see nothing is 0 in PyTorch's kernel and NaN when it is written out.
#
# Guess:  scaled_dot_product_attention with a boolean mask equals softmax(scores.masked_fill(~mask, -inf)) @ v, so that
#         a row without anything to see is NaN.
# Seen:   The kernels give 0 for such a row. A bug that hides everything from a token is silent in one form and loud in
#         the other, and rows that are padded out need no care in the first.
# Here:   mgbench's encoder keeps the class tokens visible to every token, so that no row is empty.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

q = torch.randn(1, 2, 4, 8, generator=torch.Generator().manual_seed(0))
mask = torch.ones(4, 4, dtype=torch.bool)
mask[1] = False
written = torch.softmax((q @ q.mT / 8**0.5).masked_fill(~mask, -torch.inf), -1) @ q
for backend in (SDPBackend.MATH, SDPBackend.FLASH_ATTENTION):
    with sdpa_kernel(backend):
        found = torch.nn.functional.scaled_dot_product_attention(q, q, q, attn_mask=mask)
    print(f"torch {torch.__version__}, {backend.name}: {found[0, 0, 1, :3].tolist()}, written out {written[0, 0, 1, :3].tolist()}")
    assert (found[:, :, 1] == 0).all()
    assert torch.allclose(found[:, :, [0, 2, 3]], written[:, :, [0, 2, 3]], atol=1e-5)
assert written[:, :, 1].isnan().all()
PY
