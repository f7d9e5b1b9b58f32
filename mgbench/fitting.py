"""The tokenizer and the model of a recipe: reuse what is stored and whole, go on from a checkpoint, or fit and train."""

import copy
import csv
import time
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mgbench.assembly import Assembly
from mgbench.kinds import UNLABELLED
from mgbench.progress import Interrupted, Progress
from mgbench.stages.likelihood import held_out_bound
from mgbench.stages.sample import Model
from mgbench.stages.tokenize import encode
from mgbench.stages.train import Training, TrainStep
from mgbench.store import CHECKPOINT, Store, write

MODEL, TOKENIZER, CURVE = "model.safetensors", "tokenizer.safetensors", "training.csv"
CHECKPOINT_SECONDS = 30.0


def fitted_model(store: Store, assembly: Assembly, device: torch.device, progress: Progress) -> tuple[Model, TrainStep]:
    """The trained model of a recipe, ready to sample on the device, and the last step of its training.

    Raises:
        Diverged: if its loss stops being a number.
        Interrupted: if the user asks to stop; a checkpoint is left.
    """
    tokenizer = _tokenizer(store, assembly).to(device)
    torch.manual_seed(assembly.recipe.seed)
    module = assembly.parts.process.build(assembly.parts, tokenizer.space, assembly.classes)
    folder = store.layout.model(assembly.keys.training)
    if not store.complete(folder):
        _train(store, assembly, module, tokenizer, device, progress)
    module.load_state_dict(load_file(folder / MODEL))
    module = module.to(device).requires_grad_(False).eval()
    last = _read_curve(folder / CURVE)[-1]
    bound = held_out_bound(assembly.parts, module, tokenizer, assembly.data, assembly.recipe.seed, device)
    return Model(assembly.parts, module, tokenizer, tokenizer.space, assembly.classes, device, bound), last


def _tokenizer(store: Store, assembly: Assembly) -> Any:
    tokenizer = assembly.parts.tokenizer.build(assembly.data.shape)
    folder = store.layout.tokenizer(assembly.keys.tokenizer)
    if store.complete(folder):
        tokenizer.load_state_dict(load_file(folder / TOKENIZER))
        return tokenizer
    tokenizer.fit(assembly.data.train, seed=0)
    state = tokenizer.state_dict()
    store.publish(folder, {TOKENIZER: lambda path: save_file(state, path)})
    return tokenizer


def _train(
    store: Store, assembly: Assembly, module: Any, tokenizer: Any, device: torch.device, progress: Progress
) -> None:
    recipe, data = assembly.recipe, assembly.data
    folder = store.layout.model(assembly.keys.training)
    tokens = encode(tokenizer, data.train, device)
    labels = _train_labels(assembly).to(device)
    training = Training(recipe, assembly.parts, module, device)
    curve = _resume(store, folder, training)
    saved = time.monotonic()
    try:
        for step in training.run(tokens, labels):
            curve.append(step)
            rate = step.step * recipe.batch_size / max(step.seconds, 1e-9)
            progress("train", step.step, recipe.train_steps, loss=step.loss, images_per_second=rate)
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                _checkpoint(folder, training, curve)
                saved = time.monotonic()
    except Interrupted:
        _checkpoint(folder, training, curve)
        raise
    state = {name: value.contiguous() for name, value in training.average.module.state_dict().items()}
    store.publish(folder, {MODEL: lambda path: save_file(state, path), CURVE: lambda path: _write_curve(path, curve)})
    (folder / CHECKPOINT).unlink(missing_ok=True)


def _train_labels(assembly: Assembly) -> Tensor:
    data = assembly.data
    if assembly.recipe.labels and data.train_labels is not None:
        return data.train_labels
    return torch.full((len(data.train),), UNLABELLED)


def _checkpoint(folder: Path, training: Training, curve: list[TrainStep]) -> None:
    content = {"training": training.state(), "curve": [vars(step) for step in curve]}
    write(folder / CHECKPOINT, lambda path: torch.save(content, path))


def _resume(store: Store, folder: Path, training: Training) -> list[TrainStep]:
    """Go on from the checkpoint if there is one that can be read whole; the steps it had done."""
    path = folder / CHECKPOINT
    if not path.exists():
        return []
    fresh = copy.deepcopy(training.state())
    try:
        content = torch.load(path, map_location=training.device, weights_only=True)
        training.restore(content["training"])
        return [TrainStep(**step) for step in content["curve"]]
    except Exception as error:
        # What was restored before it failed must not stay.
        training.restore(fresh)
        store.set_aside(path, error)
        return []


def _write_curve(path: Path, curve: list[TrainStep]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([item.name for item in fields(TrainStep)])
        writer.writerows(astuple(step) for step in curve)


def _read_curve(path: Path) -> list[TrainStep]:
    with path.open(newline="") as file:
        return [
            TrainStep(int(row.pop("step")), **{name: float(value) for name, value in row.items()})
            for row in csv.DictReader(file)
        ]
