"""Weights as those of a model: written, or taken from what was imported, so that nothing is trained."""

import math
import shutil
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from mgbench.errors import UserError
from mgbench.results.files import Writer
from mgbench.results.imported import WEIGHTS, with_weights
from mgbench.results.store import Store
from mgbench.stages.train import TrainStep
from mgbench.trials.curves import write_rows

# The last step of a model whose weights were imported.
UNTRAINED = TrainStep(0, math.nan, 0.0, 0.0, 0.0)


def imported_model(store: Store, weights: str, model: str, curve: str) -> Mapping[str, Writer]:
    """Writers of the imported weights with this SHA-256, under the name `model`, and of an empty `curve`.

    There is no second copy of the weights where the file system can share one file.

    Raises:
        UserError: if nothing that is whole has this SHA-256.
    """
    found = with_weights(store.layout, weights)
    if found is None or not store.complete(found.folder):
        raise UserError(f"weights of SHA-256 {weights[:12]}… are not in {store.root}; 'mgbench import' reads them")
    columns = tuple(item.name for item in fields(TrainStep))
    return {model: partial(_share, found.folder / WEIGHTS), curve: lambda path: write_rows(path, columns, ())}


def put_weights(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write tensors of any shape by their names."""
    # `save_file` tells of a full disk by an error of its own, which is no OSError.
    path.write_bytes(save(dict(state)))


def _share(source: Path, path: Path) -> None:
    path.unlink()
    try:
        path.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, path)
