"""Stored samples, so that a metric added later is computed without sampling again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mgbench.results.files import Writer, of_bytes
from mgbench.results.store import Store, listed
from mgbench.trials.plan import Row
from mgbench.trials.score import IMAGES, images_writer

COSTS = "costs.json"


@dataclass(frozen=True)
class KeptImages:
    """All images uint8 [M,C,H,W'] of a row, the costs of one image, the devices used, and writers of diagnostic files.

    `warnings` name the operations that the costs leave out.
    """

    images: Tensor
    costs: Mapping[str, float]
    devices: Mapping[str, Any]
    files: Mapping[str, Writer]
    warnings: Sequence[str] = ()


def keep_images(store: Store, row: Row, kept: KeptImages, labels: Tensor, most: int | None) -> None:
    """Store the first `most` images (None: all; 0: none) with labels int64 [M], under the key that excludes the scores.

    Raises:
        Unwritable: if the folder cannot be written or the disk is full.
    """
    if most == 0:
        return
    facts = {"costs": dict(kept.costs), "devices": dict(kept.devices), "warnings": list(kept.warnings)}
    files = {
        IMAGES: images_writer(kept.images[:most], labels[:most]),
        COSTS: of_bytes(json.dumps(facts, indent=1).encode()),
        **kept.files,
    }
    store.save_folder(store.layout.images(row.assembly.keys.images), files)


def kept_images(store: Store, row: Row) -> KeptImages | None:
    """The stored images of a row; None if not all of them were stored, or a file is damaged."""
    folder = store.layout.images(row.assembly.keys.images)
    if not store.complete(folder):
        return None
    with np.load(folder / IMAGES) as arrays:
        images = torch.from_numpy(arrays["images"])
    if len(images) < row.assembly.samples:
        return None
    facts = json.loads((folder / COSTS).read_text(encoding="utf-8"))
    others = [name for name in listed(folder) if name not in (IMAGES, COSTS)]
    files = {name: of_bytes((folder / name).read_bytes()) for name in others}
    return KeptImages(images, facts["costs"], facts["devices"], files, facts["warnings"])
