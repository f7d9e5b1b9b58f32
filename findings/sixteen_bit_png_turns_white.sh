#!/usr/bin/env bash
# Pillow clips 16-bit grey pictures instead of scaling them.
#
# Guess:  convert('RGB') of a 16-bit PNG keeps the picture: 65,535 becomes 255 and 32,768 becomes 128.
# Seen:   Every value above 255 becomes 255, so all but the darkest 1/256 of the range is white.
# Here:   mgbench scales 16-bit pictures to 8 bits when it reads image folders.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==13.0.0 numpy==2.4.6
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import sys

import numpy as np
import PIL
from PIL import Image

path = f"{sys.argv[1]}/ramp.png"
Image.fromarray(np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)).save(path)
picture = Image.open(path)
seen = np.asarray(picture.convert("RGB"))[..., 0].ravel()
print(f"Pillow {PIL.__version__}: mode {picture.mode}, a ramp from black to white reads {seen[:4].tolist()} ... {seen[-2:].tolist()}")
assert picture.mode == "I;16"
assert (seen[1:] == 255).all()
PY
