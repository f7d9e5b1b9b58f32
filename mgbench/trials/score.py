"""Score the images of a row, and write the images that a report shows."""

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import torch
from torch import Tensor

from mgbench.interfaces.data import ImageData
from mgbench.interfaces.progress import UNREPORTED, Advance, Progress
from mgbench.interfaces.ranks import Team
from mgbench.registry.resolve import Assembly
from mgbench.results.environment import environment
from mgbench.results.files import Writer, is_whole_archive, of_arrays, write
from mgbench.results.record import ARRAYS
from mgbench.results.store import Store
from mgbench.stages.extract import HERE, Through
from mgbench.stages.extracted import BATCH
from mgbench.stages.labels import held_out_rows
from mgbench.trials.foreseen import on_labels
from mgbench.trials.image_scores import said_of, score_against, seen_by
from mgbench.trials.passes import through_ranks
from mgbench.trials.plan import Row
from mgbench.trials.real_features import Reference, reference_of

IMAGES = "images.npz"
SHOWN = 100


@dataclass(frozen=True)
class Scored:
    """The part of a record about scores, features float64 [B,F] of the first images, and the reference used."""

    fields: dict[str, Any]
    features: Tensor
    reference: Reference


def score(
    store: Store, row: Row, images: Tensor, labels: Tensor | None, device: torch.device, progress: Progress, team: Team
) -> Scored:
    """Score images uint8 [M,C,H,W'] with requested labels int64 [M], whose features all ranks of a team extract.

    Raises:
        Interrupted: if the user asks to stop.
        RankFailed: if another rank of the team failed.
    """
    assembly = row.assembly
    drawn, batches = assembly.recipe.label_distribution, progress.batches
    metrics, through = assembly.parts.metrics, through_ranks(row, team)
    with progress.of(team).anywhere():
        reference = real_images(store, assembly, device, batches("reference"), through)
        progress("score", 0, math.ceil(len(images) / BATCH), row.key)
        seen = seen_by(metrics, reference, images, labels, device, through, batches("score", row.key))
    with progress.anywhere():
        what, told = said_of(images, drawn), batches("metrics", row.key)
        found = score_against(metrics, reference, seen, what, scored=told)
    generated = row.about == "images"
    advised = assembly.advised if generated else ()
    warnings = [*assembly.data.notes, *on_labels(assembly, len(images), generated), *advised, *found.warnings]
    said = {**vars(found), "warnings": warnings, "keys": {**row.keys, **reference.keys}}
    return Scored(said, seen.opening, reference)


def real_images(
    store: Store, assembly: Assembly, device: torch.device, advance: Advance = UNREPORTED, through: Through = HERE
) -> Reference:
    """The real images that scores of a recipe compare with; `advance` and `through` are those of `reference_of`.

    Raises:
        UserError: if the extractor lacks its library or its weights.
    """
    recipe, real, name = assembly.recipe, assembly.reference_data, assembly.spelled["dataset"]
    extractor: Any = assembly.parts.extractor
    found = reference_of(real, name, extractor, device, store.root, recipe.label_distribution, advance, through)
    if recipe.reference == "train":
        return found
    protocol = f"{name}@{assembly.data.fingerprint[:8]}/{recipe.reference}{len(real.train)}"
    return replace(found, name=protocol)


def save_real(store: Store, data: ImageData) -> None:
    """Store the held-out images that reports show beside samples."""
    path = store.layout.real(data.fingerprint)
    if path.exists():
        if is_whole_archive(path, ARRAYS):
            return
        store.set_aside(path, "an array in it does not match its checksum")
    rows, labels = shown_rows(data), data.test_labels
    kept = torch.full((len(rows),), -1) if labels is None else labels[rows]
    write(path, images_writer(data.test[rows], kept))


def shown_rows(data: ImageData) -> Tensor:
    """Indices int64 [N] of the held-out images that are shown, classes in the order in which samples are drawn."""
    return held_out_rows(data, SHOWN)


def images_writer(images: Tensor, labels: Tensor) -> Writer:
    """A writer of images uint8 [M,C,H,W'] and labels int64 [M] as `images.npz`."""
    return of_arrays({"images": images.numpy(), "labels": labels.numpy()})


def now() -> str:
    """The current UTC time in ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def origin(row: Row, device: torch.device, started: str) -> dict[str, Any]:
    """The origin of a result: machine, versions, command, and times of start and end."""
    return {**environment(device), **row.origin, "started": started, "finished": now()}
