"""The tokenizer and the model of a recipe: read from the store, resumed from a checkpoint, or fitted and trained."""

import copy
import io
import time
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from mgbench.interfaces.components import Parts, Teacher
from mgbench.interfaces.images import Images
from mgbench.interfaces.modules import TokenizerModule
from mgbench.interfaces.progress import Interrupted, Progress
from mgbench.interfaces.ranks import ALONE, Team
from mgbench.registry.resolve import Assembly
from mgbench.results.record import FAILED
from mgbench.results.store import CHECKPOINT, Store
from mgbench.stages.likelihood import held_out_bound
from mgbench.stages.sample import Model
from mgbench.stages.teach import taught
from mgbench.stages.tokenize import fit_steps
from mgbench.stages.train import Training, TrainStep, initial_model
from mgbench.trials.curves import read_curve, read_rows, write_rows
from mgbench.trials.given_weights import UNTRAINED, imported_model, put_weights
from mgbench.trials.plan import Trial
from mgbench.trials.token_cache import training_tokens

MODEL, CURVE = "model.safetensors", "training.csv"
TOKENIZER, FITTING = "tokenizer.safetensors", "fitting.csv"
CURVE_COLUMNS = tuple(item.name for item in fields(TrainStep))
CHECKPOINT_SECONDS = 30.0


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
    def model(self) -> Model:
        """The trained model."""
        return _read_model(self.store, self.assembly, self.tokenizer, self.device)


@dataclass(frozen=True)
class Train:
    """Training on all ranks of a team: every rank runs the same loop on its shard of each batch, and rank 0 writes."""

    def run(self, helper: Helper) -> None:
        """Train beside rank 0, until the end or until all stop; raises as `_train`."""
        team = helper.team
        _train(helper.store, helper.assembly, helper.tokenizer, helper.device, helper.progress.of(team), team)


def fitted_model(
    store: Store, assembly: Assembly, device: torch.device, progress: Progress, team: Team = ALONE
) -> tuple[Model, TrainStep]:
    """The trained model of a recipe, ready to sample on the device, and the last step of its training.

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
    model = _read_model(store, assembly, tokenizer, device)
    last = (read_curve(folder / CURVE) or [UNTRAINED])[-1]
    with progress.anywhere():
        told, data = progress.batches("likelihood"), assembly.data
        bound = held_out_bound(assembly.parts, model.module, tokenizer, data, assembly.recipe.seed, device, told)
    return replace(model, bound=bound), last


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
    teacher = _read_model(store, assembly.teacher, tokenizer, device)
    return taught(assembly.parts, module.to(device), Teacher(teacher.module, teacher.parts))


def _build(assembly: Assembly, tokenizer: TokenizerModule) -> nn.Module:
    return initial_model(assembly.parts, tokenizer.space, assembly.classes, assembly.recipe.seed)


def _read_model(store: Store, assembly: Assembly, tokenizer: TokenizerModule, device: torch.device) -> Model:
    module = _build(assembly, tokenizer)
    module.load_state_dict(load_file(store.layout.model(assembly.keys.training) / MODEL))
    module = module.to(device).requires_grad_(False).eval()
    classes, counts = assembly.classes, assembly.class_counts
    return Model(assembly.parts, module, tokenizer, tokenizer.space, classes, device, class_counts=counts)


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
    module = _build(assembly, tokenizer)
    parts = _with_teacher(store, assembly, module, tokenizer, device)
    with team.group(device):
        training = Training(assembly.recipe, parts, module, device, team)
        curve = _resume_together(store, folder, training)
        _advance(store, folder, training, curve, training.run(tokens, labels, progress.check), progress)
    if team.is_first:
        _save(store, folder, training, curve)


def _save(store: Store, folder: Path, training: Training, curve: list[TrainStep]) -> None:
    state = training.weights()
    rows = [astuple(step) for step in curve]
    files = {MODEL: lambda path: put_weights(path, state), CURVE: lambda path: write_rows(path, CURVE_COLUMNS, rows)}
    store.save_folder(folder, files)
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
    recipe, saved = training.recipe, time.monotonic()
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
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                _checkpoint(store, folder, training, curve)
                saved = time.monotonic()
    except Interrupted:
        _checkpoint(store, folder, training, curve)
        raise


def _checkpoint(store: Store, folder: Path, training: Training, curve: list[TrainStep]) -> None:
    if not training.team.is_first:
        return
    buffer = io.BytesIO()
    torch.save({"training": training.state(), "curve": [vars(step) for step in curve]}, buffer)
    store.save_checkpoint(folder, buffer.getvalue())


def _resume_together(store: Store, folder: Path, training: Training) -> list[TrainStep]:
    """Restore every rank from the checkpoint that rank 0 finds readable, if there is one; the steps it had done."""
    curve = _resume(store, folder, training) if training.team.is_first else []
    begun = training.team.broadcast(training.step)
    if training.step != begun and (found := store.checkpoint(folder)):
        curve = _restore(training, found)
    if training.step != begun:
        raise RuntimeError(f"rank 0 resumes at step {begun}, and the checkpoint read here is of step {training.step}")
    return curve


def _resume(store: Store, folder: Path, training: Training) -> list[TrainStep]:
    """Restore a training from its checkpoint, if there is one that can be read; the steps it had done."""
    found = store.checkpoint(folder)
    if found is None:
        return []
    fresh = copy.deepcopy(training.state())
    try:
        return _restore(training, found)
    except Exception as error:
        # Undo a restore that failed halfway.
        training.restore(fresh)
        store.set_aside(folder / CHECKPOINT, error)
        return []


def _restore(training: Training, found: bytes) -> list[TrainStep]:
    """Restore a training from the content of a checkpoint; the steps it had done."""
    content = torch.load(io.BytesIO(found), map_location=training.device, weights_only=True)
    training.restore(content["training"])
    return [TrainStep(**step) for step in content["curve"]]
