#!/usr/bin/env bash
# A training is another one if its model is evaluated in between, although nothing is drawn there.
#
# Guess:  Going through DataLoader(shuffle=False) in evaluation mode leaves the random state alone.
# Seen:   Every iterator draws a seed for workers from the global state, also without workers and without shuffling, so that
#         the dropout and the order of the next epoch are others: weights differ by 8 % after the second. With a generator
#         of its own the loader leaves the state alone.
# Here:   mgbench seeds the numbers of every training step by its number, and has no loader.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - <<'PY'
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

data = TensorDataset(torch.linspace(-1, 1, 64)[:, None])


def trained(looks, **options):
    """Weights after two epochs, with `looks` looks at the same data in between."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 16), nn.Dropout(0.5), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        for (x,) in DataLoader(data, batch_size=16, shuffle=True):
            (model(x) - x**2).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        model.eval()
        for _ in range(looks):
            for (x,) in DataLoader(data, batch_size=16, shuffle=False, **options):
                model(x)
        model.train()
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


alone, again = trained(0), trained(0)
looked, apart = trained(1), trained(1, generator=torch.Generator())
off = (looked - alone).norm() / alone.norm()
print(f"torch {torch.__version__}: weights differ by {off:.1%} if the model is evaluated after each epoch, "
      f"by {(apart - alone).norm() / alone.norm():.1%} if the loader has its own generator")
assert torch.equal(alone, again) and torch.equal(alone, apart)
assert off > 0.001
PY
