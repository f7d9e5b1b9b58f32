"""Imported weights as those of a model, so that nothing is trained."""

import shutil
from functools import partial
from pathlib import Path

from mgbench.errors import UserError
from mgbench.results.files import Writer
from mgbench.results.imported import WEIGHTS, with_weights
from mgbench.results.store import Store


def imported_weights(store: Store, weights: str) -> Writer:
    """A writer of the imported weights with this SHA-256, without a second copy where the file system can share one file.

    Raises:
        UserError: if nothing that is whole has this SHA-256.
    """
    found = with_weights(store.layout, weights)
    if found is None or not store.complete(found.folder):
        raise UserError(f"weights of SHA-256 {weights[:12]}… are not in {store.root}; 'mgbench import' reads them")
    return partial(_share, found.folder / WEIGHTS)


def _share(source: Path, path: Path) -> None:
    path.unlink()
    try:
        path.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, path)
