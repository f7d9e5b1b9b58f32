#!/usr/bin/env bash
# Forward-mode derivatives do not pass through PyTorch's attention on a CPU.
#
# Guess:  torch.func.jvp, which MeanFlow and consistency losses need, works for every differentiable function of
#         torch.nn.functional.
# Seen:   scaled_dot_product_attention raises NotImplementedError with the kernel that is chosen by default; the plain
#         (math) kernel works.
# Here:   mgbench asks for the plain kernel where a loss takes forward-mode derivatives.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

q = torch.randn(1, 2, 4, 8)


def derivative():
    return torch.func.jvp(lambda x: scaled_dot_product_attention(x, x, x), (q,), (torch.ones_like(q),))[1]


try:
    derivative()
except NotImplementedError as error:
    print(f"torch {torch.__version__}: {str(error).splitlines()[0][:110]}")
else:
    raise SystemExit("the default kernel has forward-mode derivatives now")
with sdpa_kernel(SDPBackend.MATH):
    assert derivative().isfinite().all()
PY
