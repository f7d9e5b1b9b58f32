#!/usr/bin/env bash
# Weights that were transposed or cut with numpy are scrambled in a safetensors file.
#
# Guess:  safetensors.numpy.save_file stores the values of an array, or refuses one that is not contiguous, as
#         safetensors.torch does.
# Seen:   It stores the memory behind the array under the array's shape: a kernel that goes from Flax (inputs, outputs) to
#         PyTorch (outputs, inputs) by .T comes back with its numbers in other places, and of every second column the first
#         half of the memory comes back. The file is valid, shapes and types are right, and nothing is said.
# Here:   mgbench writes such files through safetensors.torch alone, which raises an error.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet safetensors==0.8.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys

import numpy as np
import safetensors
from safetensors.numpy import load_file, save_file

kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
weights = {"plain": kernel, "transposed": kernel.T, "every second column": kernel[:, ::2], "copied": np.ascontiguousarray(kernel.T)}
save_file(weights, f"{sys.argv[1]}/weights.safetensors")
read = load_file(f"{sys.argv[1]}/weights.safetensors")
print(f"safetensors {safetensors.__version__}, numpy {np.__version__}")
for name, saved in weights.items():
    print(f"{name}: saved {saved.tolist()}, read {read[name].tolist()}")
    assert read[name].shape == saved.shape and read[name].dtype == saved.dtype
assert (read["plain"] == weights["plain"]).all() and (read["copied"] == weights["copied"]).all()
assert (read["transposed"] == kernel.reshape(3, 2)).all()
assert not (read["transposed"] == weights["transposed"]).all()
assert not (read["every second column"] == weights["every second column"]).all()
PY
