#!/usr/bin/env bash
# Pictures whose names have a dot become one sample of a WebDataset.
#
# Guess:  A tar of six pictures is a data set of six pictures, as the same files in a folder are.
# Seen:   In the format a name ends at its first dot, and files of one name are fields of one sample: cat_1.5_0.png to
#         cat_1.5_2.png, as images that were sampled with guidance 1.5 are called, are the columns "5_0.png" to "5_2.png" of
#         the sample "cat_1". The library datasets reads six pictures as two rows, without a word.
# Here:   mgbench says which columns of pictures it does not read.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet datasets==5.2.0 pillow==13.0.0 numpy==2.4.6
cd "$folder"
HF_HUB_OFFLINE=1 HF_HOME="$folder/cache" "$folder/venv/bin/python" - <<'PY'
import io
import tarfile

import datasets
from PIL import Image

datasets.disable_progress_bars()


def written(path, names):
    with tarfile.open(path, "w") as tar:
        for shade, name in enumerate(names):
            content = io.BytesIO()
            Image.new("L", (8, 8), shade).save(content, "png")
            entry = tarfile.TarInfo(name)
            entry.size = content.tell()
            content.seek(0)
            tar.addfile(entry, content)
    return datasets.load_dataset("webdataset", data_files={"train": path}, split="train")


dotted = written("dotted.tar", [f"{kind}_1.5_{number}.png" for kind in ("cat", "dog") for number in range(3)])
plain = written("plain.tar", [f"{kind}_15_{number}.png" for kind in ("cat", "dog") for number in range(3)])
print(f"datasets {datasets.__version__}: six pictures are {len(dotted)} rows with the columns {sorted(dotted.features)}; "
      f"without dots {len(plain)} rows with {sorted(plain.features)}")
assert len(dotted) == 2 and {"5_0.png", "5_1.png", "5_2.png"} < set(dotted.features)
assert len(plain) == 6 and "png" in plain.features
PY
