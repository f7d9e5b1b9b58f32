"""Diagnostic files of a finished row, for the report: sampling trajectories, schedules and nearest training images.

The report imports no torch, so everything that it draws of a model is computed here, once, during sampling and scoring:
`film.npz` (the states of a few images after every step), `curves.json` (schedules and numbers of revealed tokens) and
`nearest.npz` (the training images nearest to the first samples).
"""

import json
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mgbench.interfaces.images import Images
from mgbench.recipes.recipe import Recipe
from mgbench.results.files import Writer, of_arrays, of_bytes
from mgbench.stages.film import Film
from mgbench.stages.sample import Model, asked_labels
from mgbench.stages.tokenize import decode

FILM, CURVES, NEAREST = "film.npz", "curves.json", "nearest.npz"
# The number of samples, from the first, whose nearest training image is stored.
MATCHED = 20
# The number of steps in a film at most; of more, evenly spaced ones are kept.
FRAMES = 32
GRID = 65
SCHEDULES = ("mask_schedule", "sampling_schedule")


def film_files(model: Model, recipe: Recipe, film: Film) -> dict[str, Writer]:
    """Writers, by file name, of the trajectory and the schedules of a row."""
    masked = film.masked.double().mean(dim=1).tolist()
    labels = asked_labels(recipe, model, torch.arange(film.tokens.shape[1]))
    files: dict[str, Writer] = {FILM: of_arrays(_developed(model, film, labels))}
    if any(masked) or any(hasattr(model.parts, name) for name in SCHEDULES):
        # Left out for processes that mask nothing, such as diffusion of whole images.
        files[CURVES] = of_bytes(json.dumps(curves(model, masked)).encode())
    return files


def nearest_file(generated: Tensor, train: Tensor, images: Images) -> dict[str, Writer]:
    """The writer, by file name, of the training images nearest to the first samples.

    `generated` [M,F] and `train` [M',F] are features of the samples and of the training images uint8 [M',C,H,W'].
    """
    return {NEAREST: of_arrays(nearest(generated, train, images))}


def _developed(model: Model, film: Film, labels: Tensor) -> dict[str, np.ndarray]:
    """Images uint8 [S,n,C,H,W'], mask [S,n,N], step [S] (counted from 1), labels [n], and the grid of tokens if there is one."""
    kept = np.unique(np.linspace(0, len(film.mask) - 1, min(FRAMES, len(film.mask))).round().astype(int))
    images = [decode(model.tokenizer, film.tokens[step].to(model.device)) for step in kept]
    arrays = {
        "images": torch.stack(images).numpy(),
        "mask": film.mask[torch.from_numpy(kept)].numpy(),
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


def nearest(generated: Tensor, train: Tensor, images: Images) -> dict[str, np.ndarray]:
    """The training image nearest to each of the first samples in feature space (Euclidean), and the distance.

    `generated` [M,F] and `train` [M',F] are features, `images` uint8 [M',C,H,W'] the training images.
    """
    distances = torch.cdist(generated[:MATCHED].double(), train.double())
    found, places = distances.min(dim=1)
    return {"images": images[places.cpu()].cpu().numpy(), "distance": found.cpu().numpy()}
