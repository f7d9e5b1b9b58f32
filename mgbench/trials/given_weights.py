"""Write weights of a model, or use imported weights instead of training."""

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

    The file is shared by a hard link if the file system supports that.

    Raises:
        UserError: if there is no undamaged import with this SHA-256.
    """
    found = with_weights(store.layout, weights)
    if found is None or not store.complete(found.folder):
        raise UserError(f"weights of SHA-256 {weights[:12]}… are not in {store.root}; 'mgbench import' reads them")
    columns = tuple(item.name for item in fields(TrainStep))
    return {model: partial(_share, found.folder / WEIGHTS), curve: lambda path: write_rows(path, columns, ())}


def put_weights(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write named tensors of any shape."""
    # `save_file` raises its own error for a full disk, which is not an OSError.
    path.write_bytes(save(dict(state)))


def _share(source: Path, path: Path) -> None:
    path.unlink()
    try:
        path.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, path)
