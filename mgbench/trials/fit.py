"""The tokenizer and the model of a recipe: read from the store, resumed from a checkpoint, or fitted and trained."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from functools import cached_property, partial
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from mgbench.interfaces.components import Parts, Teacher
from mgbench.interfaces.images import Images
from mgbench.interfaces.modules import TokenizerModule
from mgbench.interfaces.progress import Interrupted, Progress
from mgbench.interfaces.ranks import ALONE, Team
from mgbench.recipes.recipe import Recipe
from mgbench.registry.resolve import Assembly
from mgbench.results.record import FAILED
from mgbench.results.store import CHECKPOINT, Store
from mgbench.stages.averages import Weights
from mgbench.stages.sample import Model
from mgbench.stages.teach import taught
from mgbench.stages.tokenize import fit_steps
from mgbench.stages.train import Training, TrainStep
from mgbench.trials.curves import read_curve, read_rows, write_rows
from mgbench.trials.given_weights import UNTRAINED, imported_model, put_weights
from mgbench.trials.plan import Trial
from mgbench.trials.resume import Clock, resume, save_checkpoint
from mgbench.trials.token_cache import training_tokens
from mgbench.trials.trained import MODEL, Reader, Trained, build_model, model_file

CURVE = "training.csv"
TOKENIZER, FITTING = "tokenizer.safetensors", "fitting.csv"
CURVE_COLUMNS = tuple(item.name for item in fields(TrainStep))


class Unprepared(Exception):
    """The tokenizer or the teacher of a model could not be made, so the model cannot be trained."""


@dataclass(frozen=True)
class Fitted:
    """A fitted tokenizer on its device, and the seconds that fitting took."""

    tokenizer: TokenizerModule
    seconds: float


@dataclass(frozen=True)
class Helper:
    """The store, trial and device of a rank other than 0, which reads stored models and writes nothing."""

    store: Store
    trial: Trial
    device: torch.device
    progress: Progress
    team: Team

    @property
    def assembly(self) -> Assembly:
        """The settings and parts that all rows of the trial share."""
        return self.trial.rows[0].assembly

    @cached_property
    def tokenizer(self) -> TokenizerModule:
        """The fitted tokenizer."""
        tokenizer = self.assembly.parts.tokenizer.build(self.assembly.data.shape).to(self.device)
        return _read_tokenizer(self.store, self.assembly, tokenizer).tokenizer

    @cached_property
    def _reader(self) -> Reader:
        return Reader(self.store, self.assembly, self.tokenizer, self.device)

    def model(self, recipe: Recipe) -> Model:
        """The trained model, with the weights that a recipe draws images with."""
        return self._reader.model(recipe.drawn_with)


@dataclass(frozen=True)
class Train:
    """Training on all ranks of a team: every rank runs the same loop on its shard of each batch, and rank 0 writes."""

    def run(self, helper: Helper) -> None:
        """Train beside rank 0, until the end or until all stop; raises as `_train`."""
        team = helper.team
        _train(helper.store, helper.assembly, helper.tokenizer, helper.device, helper.progress.of(team), team)


def fitted_model(
    store: Store, assembly: Assembly, device: torch.device, progress: Progress, team: Team = ALONE
) -> Trained:
    """The finished training of a recipe, ready to sample on the device.

    Raises:
        Diverged: if its loss is NaN, infinite, or explodes.
        Unprepared: if its tokenizer or its teacher failed before.
        Interrupted: if the user asks to stop; a checkpoint is left.
        RankFailed: if another rank of the team failed.
    """
    _check_tokenizer(store, assembly)
    tokenizer = fitted_tokenizer(store, assembly, device, progress).tokenizer
    folder = store.layout.model(assembly.keys.training)
    if not store.complete(folder) and assembly.recipe.weights:
        store.save_folder(folder, imported_model(store, assembly.recipe.weights, MODEL, CURVE))
    elif not store.complete(folder):
        _need_teacher(store, assembly, tokenizer, device, progress)
        with team.running(Train()):
            _train(store, assembly, tokenizer, device, progress.of(team), team)
    last = (read_curve(folder / CURVE) or [UNTRAINED])[-1]
    return Trained(Reader(store, assembly, tokenizer, device), progress, last)


def _need_teacher(
    store: Store, assembly: Assembly, tokenizer: TokenizerModule, device: torch.device, progress: Progress
) -> None:
    """Train the teacher of a model, if it has one that is not stored.

    Raises:
        Unprepared: if training the teacher failed before.
    """
    teacher = assembly.teacher
    if teacher is None or store.complete(store.layout.model(teacher.keys.training)):
        return
    found = store.record(teacher.keys.run)
    if found and found.status in FAILED:
        raise Unprepared(f"its teacher {found.status}: {found.reason}")
    _need_teacher(store, teacher, tokenizer, device, progress)
    _train(store, teacher, tokenizer, device, progress, ALONE)


def _with_teacher(
    store: Store, assembly: Assembly, module: nn.Module, tokenizer: TokenizerModule, device: torch.device
) -> Parts:
    """The components for training a model: those of its recipe and the teacher; the process may initialise the model
    from it.
    """
    if assembly.teacher is None:
        return assembly.parts
    # The key of a student says by which training it was taught, and nothing of how its teacher is sampled.
    teacher = Reader(store, assembly.teacher, tokenizer, device).model(assembly.teacher.recipe.ema[0])
    return taught(assembly.parts, module.to(device), Teacher(teacher.module, teacher.parts))


def fitted_tokenizer(
    store: Store, assembly: Assembly, device: torch.device, progress: Progress, team: Team = ALONE
) -> Fitted:
    """The tokenizer of a recipe, read, or fitted and stored, on the device; the other ranks of a team take no part.

    Raises:
        Diverged: if its loss stops being a number.
        Interrupted: if the user asks to stop; nothing is left.
    """
    tokenizer = assembly.parts.tokenizer.build(assembly.data.shape).to(device)
    folder = store.layout.tokenizer(assembly.keys.tokenizer)
    if not store.complete(folder):
        _fit(store, folder, tokenizer, assembly.data.train, progress)
    return _read_tokenizer(store, assembly, tokenizer)


def _read_tokenizer(store: Store, assembly: Assembly, tokenizer: TokenizerModule) -> Fitted:
    folder = store.layout.tokenizer(assembly.keys.tokenizer)
    tokenizer.load_state_dict(load_file(folder / TOKENIZER))
    curve = read_rows(folder / FITTING)
    return Fitted(tokenizer.requires_grad_(False).eval(), float(curve[-1]["seconds"]) if curve else 0.0)


def _fit(store: Store, folder: Path, tokenizer: TokenizerModule, images: Images, progress: Progress) -> None:
    curve, started = [], time.monotonic()
    # A step may take minutes, and leaves nothing unfinished on the disk.
    with progress.anywhere():
        for step, total, loss in fit_steps(tokenizer, images):
            curve.append((step, loss, time.monotonic() - started))
            progress("tokenize", step, total, loss=loss)
    state = {name: value.contiguous() for name, value in tokenizer.state_dict().items()}
    files = {
        TOKENIZER: lambda path: put_weights(path, state),
        FITTING: lambda path: write_rows(path, ("step", "loss", "seconds"), curve),
    }
    store.save_folder(folder, files)


def _check_tokenizer(store: Store, assembly: Assembly) -> None:
    found = store.record(assembly.keys.reconstruction)
    if found and found.status in FAILED and not store.complete(store.layout.tokenizer(assembly.keys.tokenizer)):
        raise Unprepared(f"its tokenizer {found.status}: {found.reason}")


def _train(
    store: Store, assembly: Assembly, tokenizer: TokenizerModule, device: torch.device, progress: Progress, team: Team
) -> None:
    """Train a model and store it; each rank of a team runs this, and exchanges the same values in the same order.

    Raises:
        Diverged: if the loss stops being a number.
        Interrupted: if the user asks to stop; a checkpoint is left.
        RuntimeError: if a rank reads another checkpoint than rank 0.
    """
    folder = store.layout.model(assembly.keys.training)
    with progress.anywhere():
        tokens, labels = training_tokens(store, assembly, tokenizer, device, progress, team)
    module = build_model(assembly, tokenizer)
    parts = _with_teacher(store, assembly, module, tokenizer, device)
    with team.group(device):
        training = Training(assembly.recipe, parts, module, device, team)
        curve = resume(store, folder, training)
        _advance(store, folder, training, curve, training.run(tokens, labels, progress.check), progress)
        weights = training.weights()
    if team.is_first:
        _save(store, folder, {model_file(assembly.recipe, decay): state for decay, state in weights.items()}, curve)


def _save(store: Store, folder: Path, weights: Mapping[str, Weights], curve: list[TrainStep]) -> None:
    rows = [astuple(step) for step in curve]
    models = {name: partial(put_weights, state=state) for name, state in weights.items()}
    store.save_folder(folder, {**models, CURVE: lambda path: write_rows(path, CURVE_COLUMNS, rows)})
    (folder / CHECKPOINT).unlink(missing_ok=True)


def _advance(
    store: Store,
    folder: Path,
    training: Training,
    curve: list[TrainStep],
    steps: Iterable[TrainStep],
    progress: Progress,
) -> None:
    """Run the steps of a training and append them to the curve; write a checkpoint every 30 s, and when stopped."""
    recipe, clock = training.recipe, Clock()
    try:
        for step in steps:
            curve.append(step)
            progress(
                "train",
                step.step,
                recipe.train_steps,
                loss=step.loss,
                learning_rate=step.learning_rate,
                images_per_second=step.step * recipe.batch_size / max(step.seconds, 1e-9),
            )
            if clock.is_due(training):
                save_checkpoint(store, folder, training, curve)
    except Interrupted:
        save_checkpoint(store, folder, training, curve)
        raise
