"""Checkpoints of a training: written at intervals, and read to resume it."""

import io
import time
from pathlib import Path
from typing import Any

import torch

from mgbench.results.store import CHECKPOINT, Store
from mgbench.stages.train import Training, TrainStep

CHECKPOINT_SECONDS = 30.0


class Clock:
    """The time since the last checkpoint, as rank 0 of a team measures it."""

    def __init__(self) -> None:
        self._saved = time.monotonic()

    def is_due(self, training: Training) -> bool:
        """Whether a checkpoint is due; all ranks of a team must call this, and get the same answer."""
        due = training.team.broadcast(time.monotonic() - self._saved > CHECKPOINT_SECONDS)
        if due:
            self._saved = time.monotonic()
        return due


def save_checkpoint(store: Store, folder: Path, training: Training, curve: list[TrainStep]) -> None:
    """Write a checkpoint; every rank of a team must call this, because each may hold a part of the state."""
    state = training.state()
    if training.team.is_first:
        buffer = io.BytesIO()
        torch.save({"training": state, "curve": [vars(step) for step in curve]}, buffer)
        store.save_checkpoint(folder, buffer.getvalue())


def resume(store: Store, folder: Path, training: Training) -> list[TrainStep]:
    """Restore every rank from the checkpoint that rank 0 finds valid, if there is one; returns its loss curve.

    Raises:
        RuntimeError: if a rank finds no checkpoint of the same step.
    """
    team = training.team
    found = _fit(store, folder, training) if team.is_first else None
    begun = team.broadcast(found[0]["step"] if found else 0)
    if not begun:
        return []
    if not team.is_first:
        found = _fit(store, folder, training)
    step = found[0]["step"] if found else 0
    if found is None or step != begun:
        raise RuntimeError(f"rank 0 resumes at step {begun}, and the checkpoint read here is of step {step}")
    state, curve = found
    training.restore(state)
    return curve


def _fit(store: Store, folder: Path, training: Training) -> tuple[dict[str, Any], list[TrainStep]] | None:
    """The state and the loss curve in a checkpoint of this training; any other checkpoint is set aside."""
    content = store.checkpoint(folder)
    if content is None:
        return None
    try:
        found = torch.load(io.BytesIO(content), map_location=training.device, weights_only=True)
        training.check_same(found["training"])
        return found["training"], [TrainStep(**step) for step in found["curve"]]
    except Exception as error:
        if training.team.is_first:
            store.set_aside(folder / CHECKPOINT, error)
        return None
