#!/usr/bin/env bash
# datasets turns photographs upright when it reads a folder, torchvision does not.
#
# Guess:  The same folder of pictures, one folder per class, is the same data set in both libraries.
# Seen:   A picture with an EXIF orientation, as cameras and phones write it, is turned by datasets (imagefolder) and left
#         lying by torchvision (ImageFolder): its height and width are exchanged, and a centre crop shows another part.
#         Statistics for FID of the one do not fit samples of a model that was trained on the other.
# Here:   mgbench turns pictures upright and counts in the data set's notes how many it turned.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 torchvision==0.29.1 datasets==5.2.0 numpy==2.4.6 pillow==13.0.0
HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import sys
from pathlib import Path

import datasets
import numpy as np
import torchvision
from PIL import Image

folder = Path(sys.argv[1]) / "pictures"
(folder / "cat").mkdir(parents=True)
stored = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
exif = Image.Exif()
exif[0x0112] = 6  # to be shown turned by 90 degrees
Image.fromarray(stored).save(folder / "cat" / "a.png", exif=exif)

one = np.asarray(torchvision.datasets.ImageFolder(folder)[0][0])
loaded = datasets.load_dataset("imagefolder", data_dir=str(folder), cache_dir=f"{sys.argv[1]}/cache", split="train")
other = np.asarray(loaded[0]["image"])
print(f"torchvision {torchvision.__version__}: {one.shape}; datasets {datasets.__version__}: {other.shape}")
assert np.array_equal(one, stored)
assert np.array_equal(other, np.rot90(stored, -1))
PY
