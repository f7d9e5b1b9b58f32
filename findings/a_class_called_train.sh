#!/usr/bin/env bash
# A data set of pictures in class folders, of which one is called "train", is that class alone.
#
# Guess:  The folders bus, tank and train (three of the classes of CIFAR-100) are three classes, and all their pictures one
#         split.
# Seen:   A folder whose name has the word train, test, eval or the like in it is a split, and the others are not read: of
#         nine pictures the three trains are left, without labels and without a word. bullet_train does the same. With
#         bus, tank and tram, all nine are read.
# Here:   mgbench's image_folder takes such a folder for a class, and hub notes how many pictures are left out.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet datasets==5.2.0 pyarrow==26.0.1 pandas==3.1.1 numpy==2.4.6 pillow==13.0.0
HF_HUB_OFFLINE=1 HF_HOME="$folder/cache" "$folder/venv/bin/python" - "$folder" <<'PY'
import sys
from pathlib import Path

import datasets
from PIL import Image

datasets.disable_progress_bars()


def read(*classes):
    root = Path(sys.argv[1], "_".join(classes).replace("_", "-"))
    for grey, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for number in range(3):
            Image.new("L", (8, 8), grey).save(root / name / f"{number}.png")
    splits = datasets.load_dataset("imagefolder", data_dir=str(root))
    return {name: (len(rows), sorted(rows.features), {row["image"].getpixel((0, 0)) for row in rows}) for name, rows in splits.items()}


print(f"datasets {datasets.__version__}")
for classes in (("bus", "tank", "tram"), ("bus", "tank", "train"), ("bus", "tank", "bullet_train")):
    found = read(*classes)
    print(f"9 pictures in {', '.join(classes)}: " + "; ".join(f"{count} in {name!r} with {columns}" for name, (count, columns, _) in found.items()))
    if classes[-1] == "tram":
        assert found == {"train": (9, ["image", "label"], {0, 1, 2})}
    else:
        assert found == {"train": (3, ["image"], {2})}
PY
