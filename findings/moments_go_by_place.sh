#!/usr/bin/env bash
# An optimizer that was given the names of its weights restores their moments by place.
#
# Guess:  Adam(model.named_parameters()) saves the names, so that load_state_dict gives every weight its own moments, or says
#         that the names differ.
# Seen:   The names are kept and not looked at: if the model lists its layers in another order than when it was saved, and
#         they have the same shape, they take each other's moments without a word, while the weights go by name.
# Here:   mgbench's checkpoints hold the state of a model made by the same code, whose version is part of the row's key.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import torch
from torch import nn


def model(*layers):
    return nn.ModuleDict({name: nn.Linear(2, 2, bias=False) for name in layers})


def moments(model, optimizer):
    return {name: optimizer.state[weight]["exp_avg"].mean().item() for name, weight in model.named_parameters()}


torch.manual_seed(0)
saved = model("query", "key")
optimizer = torch.optim.Adam(saved.named_parameters())
(5 * saved["query"].weight.sum() + saved["key"].weight.sum()).backward()
optimizer.step()

resumed = model("key", "query")
again = torch.optim.Adam(resumed.named_parameters())
resumed.load_state_dict(saved.state_dict())
again.load_state_dict(optimizer.state_dict())
before, after = moments(saved, optimizer), moments(resumed, again)
print(f"torch {torch.__version__}: saved with the names {optimizer.state_dict()['param_groups'][0]['param_names']}"
      f" and the moments {before}; resumed with {after}")
assert torch.equal(saved["query"].weight, resumed["query"].weight)
assert abs(before["query.weight"] - 0.5) < 1e-6 and abs(before["key.weight"] - 0.1) < 1e-6
assert abs(after["query.weight"] - 0.1) < 1e-6 and abs(after["key.weight"] - 0.5) < 1e-6
PY
