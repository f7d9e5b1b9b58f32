#!/usr/bin/env bash
# Two optimizers that were given the same state go on writing into it together.
#
# Guess:  optimizer.load_state_dict copies, as Module.load_state_dict does: two trainings that branch off from one state
#         in memory are independent, and the state stays what it was.
# Seen:   The moments and the count of steps are kept as they are given. A step of the second optimizer changes those of
#         the first one, and the state that both came from; so the first one's next step is another. Nothing warns. With
#         a copy of the state for each, as from a file, it is as guessed.
# Here:   mgbench gives an optimizer only what was read from a file for it alone.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import copy

import torch


def step(model, optimizer, image):
    optimizer.zero_grad()
    model(image).square().sum().backward()
    optimizer.step()


torch.manual_seed(0)
model = torch.nn.Linear(2, 2)
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
image, other_image = torch.ones(2), torch.tensor([5.0, -5.0])
step(model, optimizer, image)
weights, state = copy.deepcopy(model.state_dict()), copy.deepcopy(optimizer.state_dict())


def branch(state):
    model = torch.nn.Linear(2, 2)
    model.load_state_dict(weights)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    optimizer.load_state_dict(state)
    return model, optimizer


def second_step(state, other_first):
    first, second = branch(state), branch(state)
    if other_first:
        step(*second, other_image)
    step(*first, image)
    return first[0].weight.detach().tolist()


alone, beside = (second_step(copy.deepcopy(state), other_first) for other_first in (False, True))
shared = branch(state)[1].state_dict()["state"][0]
print(f"torch {torch.__version__}: the second step alone gives {alone}, beside another branch {beside}")
print("kept as given, not copied:", [name for name, value in state["state"][0].items() if shared[name].data_ptr() == value.data_ptr()])
assert alone != beside
assert all(shared[name].data_ptr() == value.data_ptr() for name, value in state["state"][0].items())
PY
