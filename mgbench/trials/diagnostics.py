"""What does a finished row leave to be drawn later? How its images came about, its schedules, and what they resemble.

The report imports no torch, so all that it draws of a model is computed here, once, when the row is recorded:
`film.npz` (the states of a few images after every step), `curves.json` (schedules and reveal counts) and `nearest.npz`
(the training images nearest to the first samples).
"""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mgbench.recipes.recipe import Recipe
from mgbench.stages.sample import Model, asked_labels, sample_tokens
from mgbench.stages.tokenize import decode

FILM, CURVES, NEAREST = "film.npz", "curves.json", "nearest.npz"
# How many images are kept step by step, over how many the reveal counts are averaged, and how many get a neighbour.
FILMED, COUNTED, MATCHED = 8, 32, 20
# A film is a strip for the eye: of more steps than this, evenly spread ones are kept.
FRAMES = 32
GRID = 65
SCHEDULES = ("mask_schedule", "sampling_schedule")

Writer = Callable[[Path], None]


@dataclass
class _Film:
    """The states of the first images, and how many tokens were masked after each step."""

    tokens: list[Tensor] = field(default_factory=list)
    masks: list[Tensor] = field(default_factory=list)
    masked: list[float] = field(default_factory=list)


def trace_files(model: Model, recipe: Recipe, generated: Tensor, train: Tensor, images: Tensor) -> dict[str, Writer]:
    """The files to write beside a record, by name.

    `generated` [M,F] and `train` [M',F] are features of the samples and of the training images [M',C,H,W'].
    """
    film = _watch(model, recipe)
    files: dict[str, Writer] = {NEAREST: _npz(nearest(generated, train, images))}
    if any(film.masked) or any(hasattr(model.parts, name) for name in SCHEDULES):
        # What masks nothing, as diffusion of whole images, reveals nothing.
        files[CURVES] = _json(curves(model, film.masked))
    if film.masks:
        labels = asked_labels(recipe, model.classes, torch.arange(FILMED))
        files[FILM] = _npz(_developed(model, film, labels))
    return files


def _watch(model: Model, recipe: Recipe) -> _Film:
    film = _Film()
    for state in sample_tokens(model, recipe, torch.arange(COUNTED)):
        film.tokens.append(state.tokens[:FILMED].cpu())
        film.masks.append(state.mask[:FILMED].cpu())
        film.masked.append(float(state.mask.sum(dim=1).double().mean()))
    return film


def _developed(model: Model, film: _Film, labels: Tensor) -> dict[str, np.ndarray]:
    """Images uint8 [S,n,C,H,W'], mask [S,n,N], step [S] (counted from 1), labels [n], and the grid of tokens if there is one."""
    kept = np.unique(np.linspace(0, len(film.masks) - 1, min(FRAMES, len(film.masks))).round().astype(int))
    images = [decode(model.tokenizer, film.tokens[step].to(model.device)) for step in kept]
    arrays = {
        "images": torch.stack(images).numpy(),
        "mask": torch.stack([film.masks[step] for step in kept]).numpy(),
        "step": kept + 1,
        "labels": labels.numpy(),
    }
    return arrays | ({"grid": np.array(model.space.grid)} if model.space.grid else {})


def curves(model: Model, masked: list[float]) -> dict[str, Any]:
    """γ(t) of each schedule on a grid of times, and the mean number of tokens that each step reveals (less than 0: masks)."""
    times = torch.linspace(0, 1, GRID, dtype=torch.float64)
    schedules = {name: getattr(model.parts, name) for name in SCHEDULES if hasattr(model.parts, name)}
    counts = [float(model.space.length), *masked]
    return {
        "t": times.tolist(),
        "gamma": {name: schedule(times).double().tolist() for name, schedule in schedules.items()},
        "tokens": model.space.length,
        "revealed": [before - after for before, after in pairwise(counts)],
    }


def nearest(generated: Tensor, train: Tensor, images: Tensor) -> dict[str, np.ndarray]:
    """For each of the first samples the training image with the nearest features, and how far it is."""
    distances = torch.cdist(generated[:MATCHED].double(), train.double())
    found, places = distances.min(dim=1)
    return {"images": images[places.cpu()].cpu().numpy(), "distance": found.cpu().numpy()}


def _npz(arrays: dict[str, np.ndarray]) -> Writer:
    def write(path: Path) -> None:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
        path.write_bytes(buffer.getvalue())

    return write


def _json(content: Any) -> Writer:
    def write(path: Path) -> None:
        path.write_text(json.dumps(content), encoding="utf-8")

    return write
