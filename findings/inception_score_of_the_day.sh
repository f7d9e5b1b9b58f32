#!/usr/bin/env bash
# The Inception Score of torchmetrics depends on the global random state.
#
# Guess:  Ten splits of the same 200 images give the same score every time.
# Seen:   The images are shuffled with the global generator before they are split, so that the score moves with
#         torch.manual_seed (here by 2 %), and with whatever drew random numbers before.
# Here:   mgbench shuffles with a seed of its own that the metric names.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6 torchmetrics==1.9.0
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import torch
import torchmetrics
from torchmetrics.image.inception import InceptionScore


class Logits(torch.nn.Module):
    num_features = 10

    def forward(self, images):
        return images.float().flatten(1)[:, :10] / 25


images = torch.randint(0, 256, (200, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
seen = []
for seed in (0, 1, 2):
    metric = InceptionScore(feature=Logits(), splits=10)
    metric.update(images)
    torch.manual_seed(seed)
    seen.append(metric.compute()[0].item())
print(f"torchmetrics {torchmetrics.__version__}: {seen} of the same images")
assert len(set(seen)) == 3
assert max(seen) / min(seen) > 1.001
PY
