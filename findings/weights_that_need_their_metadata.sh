#!/usr/bin/env bash
# A torchvision network does not load its own weights after they were in a safetensors file.
#
# Guess:  A state dict is names and tensors: what torch.save keeps and what safetensors keeps load alike.
# Seen:   A state dict also carries versions of its modules in an attribute. MNASNet reads its own and refuses to load
#         without it, with a sentence about versions; safetensors drops it, as any copy into a plain dict does.
# Here:   mgbench gives weights without versions those of the network that they are loaded into.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 torchvision==0.29.1 safetensors==0.8.0 numpy==2.4.6
cd "$folder"
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import torch
import torchvision
from safetensors.torch import load_file, save_file
from torchvision.models import mnasnet0_5

weights = mnasnet0_5().state_dict()
torch.save(weights, "weights.pt")
save_file(weights, "weights.safetensors")
print(f"torchvision {torchvision.__version__}, torch.save:", mnasnet0_5().load_state_dict(torch.load("weights.pt")))
try:
    mnasnet0_5().load_state_dict(load_file("weights.safetensors"))
except ValueError as error:
    print("safetensors:", error)
    assert "version" in str(error)
else:
    raise SystemExit("loaded")
PY
