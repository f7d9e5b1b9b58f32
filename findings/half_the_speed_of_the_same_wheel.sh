#!/usr/bin/env bash
# On a CPU of AMD with AVX-512, PyTorch's float32 products take twice the time of another library in the same wheel.
#
# Guess:  torch.nn.functional.linear on a CPU runs at what the CPU can do; another kernel may differ by some per cent.
# Seen:   PyTorch gives float32 matrices on x86 to MKL, which takes its AVX2 kernel on CPUs that are not Intel's. oneDNN, which
#         PyTorch brings along and uses for bfloat16 and compiled code, takes AVX-512: about half the time. No environment
#         variable that MKL documents changes that.
# Here:   mgbench's linear layers call oneDNN where products are large enough (mgbench/components/networks/linear.py).
set -euo pipefail
if ! grep -qm1 AuthenticAMD /proc/cpuinfo || ! grep -qm1 avx512f /proc/cpuinfo; then
    echo "this needs a CPU of AMD with AVX-512"
    exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - <<'PY'
import statistics
import time

import torch

torch.set_num_threads(1)
x, weight, bias = torch.randn(2048, 1024), torch.randn(1024, 1024), torch.randn(1024)
kernels = {
    "functional.linear": lambda: torch.nn.functional.linear(x, weight, bias),
    "oneDNN": lambda: torch.ops.mkldnn._linear_pointwise.default(x, weight, bias, "none", [], ""),
}
seconds = {name: [] for name in kernels}
for _ in range(30):
    for name, kernel in kernels.items():
        # Of the processor, so that other work on the machine does not count.
        begun = time.process_time()
        kernel()
        seconds[name].append(time.process_time() - begun)
assert torch.allclose(*(kernel() for kernel in kernels.values()), atol=1e-3)
rates = {name: 2 * 2048 * 1024**2 / statistics.median(taken) / 1e9 for name, taken in seconds.items()}
print(f"torch {torch.__version__}:", ", ".join(f"{name} {rate:.0f} GFLOP/s" for name, rate in rates.items()))
assert rates["oneDNN"] > 1.4 * rates["functional.linear"]
PY
