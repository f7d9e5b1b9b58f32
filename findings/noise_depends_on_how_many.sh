#!/usr/bin/env bash
# The noise of an image depends on how many images are drawn with it, from the same seed.
#
# Guess:  torch.randn with a seeded generator is a stream: 10 images are the first 10 of 12, as with torch.rand and numpy.
# Seen:   From 16 numbers on they are made in groups of 16, and the last 16 are made again when the count is no multiple
#         of 16: of 20 numbers only the first 4 are those of 32, of 10 images of 3 numbers the first 4 those of 12. A last
#         batch that is smaller, or another --batch-size, draws other noise for images that are in both.
# Here:   mgbench makes the noise of every image by a counter of its own; a law draws images alone and in batches.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import numpy as np
import torch


def drawn(draw, *shape):
    return draw(*shape, generator=torch.Generator().manual_seed(0))


def same(few, many):
    return (few == many[: len(few)]).reshape(len(few), -1).all(1).sum().item()


numbers = same(drawn(torch.randn, 20), drawn(torch.randn, 32))
images = same(drawn(torch.randn, 10, 3), drawn(torch.randn, 12, 3))
evenly = same(drawn(torch.rand, 20), drawn(torch.rand, 32))
print(f"torch {torch.__version__}: of 20 normal numbers {numbers} are the first of 32, of 10 images {images} the first of 12; "
      f"of 20 uniform numbers {evenly}")
assert numbers == 4 and images == 4
assert evenly == 20
assert same(drawn(torch.randn, 32), drawn(torch.randn, 48)) == 32
one, more = (np.random.default_rng(0).standard_normal(count) for count in (20, 32))
assert (one == more[:20]).all()
PY
