#!/usr/bin/env bash
# A bicubic enlargement is another one with antialias, where there is nothing to smooth.
#
# Guess:  antialias=True of torch.nn.functional.interpolate matters when pictures get smaller; enlargements are the same with
#         it and without, as bilinear ones are.
# Seen:   The bicubic kernel itself is another: its parameter is -0.75 without and -0.5 with antialias, as in Pillow. A random
#         grid of 14 x 14, enlarged to 16 x 16, differs by 8 %. Where position embeddings are brought to another grid, two
#         programs that differ in this option are two networks.
# Here:   mgbench resizes pictures by Pillow or with antialias=True, which agree, and grids of codes as the published VAR does.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6 pillow==13.0.0
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import numpy as np
import PIL
import torch
from PIL import Image
from torch.nn import functional

SMALL, LARGE = 14, 16


def enlarged(grid, mode, antialias):
    return functional.interpolate(grid[None, None], (LARGE, LARGE), mode=mode, antialias=antialias)[0, 0]


def apart(one, other):
    return ((one - other).square().mean() / other.square().mean()).sqrt().item()


def kernel(distance, a):
    """The cubic convolution kernel (Keys, 1981)."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = a * (((distance - 5) * distance + 8) * distance - 4)
    return np.where(distance < 1, near, np.where(distance < 2, far, 0.0))


grid = torch.randn(SMALL, SMALL, generator=torch.Generator().manual_seed(0))
smooth, plain = enlarged(grid, "bicubic", True), enlarged(grid, "bicubic", False)
pillow = torch.from_numpy(np.array(Image.fromarray(grid.numpy()).resize((LARGE, LARGE), Image.Resampling.BICUBIC)))
bilinear = apart(enlarged(grid, "bilinear", True), enlarged(grid, "bilinear", False))
print(f"torch {torch.__version__}, Pillow {PIL.__version__}: {SMALL}² to {LARGE}² with and without antialias differ by {bilinear:.2%} (bilinear)"
      f" and {apart(smooth, plain):.2%} (bicubic); from Pillow by {apart(smooth, pillow):.2%} with and {apart(plain, pillow):.2%} without")
assert bilinear < 1e-5
assert apart(smooth, pillow) < 1e-5
assert apart(plain, pillow) > 0.02 and apart(plain, smooth) > 0.02
# One row of an impulse, from the kernel with either parameter, away from the border.
impulse = torch.zeros(SMALL, SMALL)
impulse[7] = 1
centres = (np.arange(LARGE) + 0.5) * SMALL / LARGE - 0.5
for antialias, a in ((True, -0.5), (False, -0.75)):
    assert np.allclose(enlarged(impulse, "bicubic", antialias)[:, 8].numpy(), kernel(np.abs(centres - 7), a), atol=1e-5)
PY
