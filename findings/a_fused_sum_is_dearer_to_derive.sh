#!/usr/bin/env bash
# shift + x * scale in one operation takes more operations than in two, once it is differentiated.
#
# Guess:  torch.addcmul(shift, x, scale) saves a pass over memory forward, and its derivative is that of a product and a sum:
#         one product for x, one for scale.
# Seen:   The derivative multiplies x and scale by the factor `value` first, also where that is 1: four passes instead of two,
#         so five in all instead of four.
# Here:   mgbench's heads take addcmul without gradients only.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - <<'PY'
import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Passes(TorchDispatchMode):
    """Counts operations that read or write all numbers."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func.overloadpacket._qualified_op_name in ("aten::mul", "aten::add", "aten::addcmul")
        return func(*args, **(kwargs or {}))


def passes(work):
    """Passes forward, and in the derivative."""
    tensors = [torch.randn(512, 64, requires_grad=True) for _ in range(3)]
    with Passes() as forward:
        out = work(*tensors)
    with Passes() as backward:
        torch.autograd.grad(out, tensors, torch.ones_like(out))
    return forward.count, backward.count


found = {
    "addcmul": passes(torch.addcmul),
    "product and sum": passes(lambda shift, x, scale: shift + x * scale),
}
print(f"torch {torch.__version__}: passes forward and backward: {found}")
assert found["addcmul"] == (1, 4)
assert found["product and sum"] == (2, 2)
PY
