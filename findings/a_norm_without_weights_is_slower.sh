#!/usr/bin/env bash
# A layer norm without weights takes twice the time on a CPU of one that multiplies by ones.
#
# Guess:  elementwise_affine=False saves a multiplication and a sum for every number, so it is as fast or faster.
# Seen:   Forward it takes nearly twice the time for every number of rows and width tried, because its kernel for CPUs uses vector
#         instructions where it is given weights or biases, and goes number by number where it is given neither. The results are
#         equal to the last bit, and so are gradients.
# Here:   The adaptive norms of transformers and of the heads for vectors have no weights, as in their papers; mgbench gives their
#         kernel ones (mgbench/components/networks/norm.py), and samples 1.07 times as fast with a small SiT.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - <<'PY'
import statistics
import time

import torch
from torch.nn.functional import layer_norm

torch.set_num_threads(1)
print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}")
for rows, width in ((256, 64), (3840, 64), (1024, 448), (256, 1024)):
    x, slope = torch.randn(rows, width, requires_grad=True), torch.randn(rows, width)
    given = {"nothing": None, "ones": torch.ones(width)}
    found, seconds = {}, {name: [] for name in given}
    for name, weight in given.items():
        y = layer_norm(x, (width,), weight)
        found[name] = y, *torch.autograd.grad(y, x, slope)
    assert all(map(torch.equal, *found.values()))
    with torch.no_grad():
        for _ in range(60):
            for name, weight in given.items():
                # Of the processor, so that other work on the machine does not count.
                begun = time.process_time()
                for _ in range(5):
                    layer_norm(x, (width,), weight)
                seconds[name].append((time.process_time() - begun) / 5)
    nothing, ones = (1e6 * statistics.median(taken) for taken in seconds.values())
    print(f"{rows} rows of {width}: without weights {nothing:.0f} microseconds, with ones {ones:.0f}: {nothing / ones:.2f}")
    assert nothing > 1.4 * ones
PY
