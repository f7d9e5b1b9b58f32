"""One trial: the model its rows share, then every row sampled, judged and recorded; what goes wrong becomes rows too."""

import io
import os
import platform
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

import mgbench
from mgbench.assembly import load_images
from mgbench.components.metrics import small_sample_warning
from mgbench.errors import Diverged
from mgbench.fitting import fitted_model
from mgbench.kinds import Features
from mgbench.plan import Row, Trial
from mgbench.progress import Interrupted, Progress
from mgbench.record import Status
from mgbench.stages.cost import Meter, forget_peak, peak_memory, sampling_costs, training_costs
from mgbench.stages.evaluate import extract, judge
from mgbench.stages.sample import Model, labels_for, sample_images
from mgbench.stages.train import TrainStep
from mgbench.store import Store, write

T = TypeVar("T")
IMAGES = "images.npz"
SHOWN = 100


def run_trial(store: Store, trial: Trial, device: torch.device, progress: Progress, batch: int = 250) -> None:
    """Compute and record every row of a trial; a row that fails leaves the others alone.

    Raises:
        Interrupted: if the user asked to stop, after the rows that are left were recorded as interrupted.
    """
    waiting = list(trial.rows)
    try:
        fit = partial(fitted_model, store, trial.rows[0].assembly, device, progress)
        fitted = _attempt(store, waiting, progress, fit)
        for note in store.notes:
            progress.emit({"note": note})
        while waiting and fitted:
            record = partial(_record_row, store, waiting[0], *fitted, progress, batch)
            _attempt(store, waiting[:1], progress, record)
            waiting.pop(0)
    except Interrupted:
        record_all(store, waiting, "interrupted", "stopped by the user; the same command goes on")
        raise


def _attempt(store: Store, rows: list[Row], progress: Progress, work: Callable[[], T]) -> T | None:
    """Do something on which rows depend; if it fails, that is what is recorded of them, and None is returned."""
    status: Status = "failed"
    try:
        return work()
    except Interrupted:
        raise
    except Diverged as error:
        status, reason = "diverged", str(error)
    except Exception as error:
        traceback.print_exc()
        log = store.layout.log(rows[0].assembly.keys.training)
        reason = f"{type(error).__name__}: {str(error).strip() or 'no message'} (log: {log})"
    record_all(store, rows, status, reason)
    for row in rows:
        progress.emit({"row": row.key, "status": status, "reason": reason})
    return None


def record_all(store: Store, rows: list[Row], status: Status, reason: str) -> None:
    """Record rows that came to nothing, and why."""
    for row in rows:
        store.save_record(row.record(status, reason))


@dataclass(frozen=True)
class Reference:
    """What scores are measured against: the features of the training images, and of held-out ones for the floor."""

    extractor: Any
    train: Features
    test: Features

    @property
    def name(self) -> str:
        """The extractor's name without the hash of its weights."""
        name: str = self.extractor.id.partition("@")[0]
        return name


@lru_cache(maxsize=4)
def _reference(dataset: Any, extractor: Any, device: torch.device) -> Reference:
    data, module = load_images(dataset), extractor.build().to(device)
    train = extract(module, data.train, data.train_labels, device)
    return Reference(module, train, extract(module, data.test, data.test_labels, device))


def _record_row(store: Store, row: Row, model: Model, trained: TrainStep, progress: Progress, batch: int) -> None:
    assembly, started = row.assembly, _now()
    meter = Meter()
    parts = assembly.parts
    # The rows of a trial share the trained weights, but each samples with its own parts.
    forget_peak(model.device)
    images, sampling = _draw(row, replace(model, parts=parts), meter, progress, batch)
    progress("judge", 0, 1)
    scored_by: tuple[Any, Any] = (parts.dataset, parts.extractor)
    reference = _reference(*scored_by, model.device)
    count = len(images)
    labels = labels_for(torch.arange(count), model.classes) if model.classes else None
    generated = extract(reference.extractor, images, labels, model.device)
    record = row.record(
        "done",
        scores={**judge(parts.metrics, generated, reference.train, reference.name), **model.bound.scores},
        floors=dict(judge(parts.metrics, _first(reference.test, count), reference.train, reference.name)),
        costs={**sampling, **_costs(assembly.recipe.batch_size, model, trained), **model.bound.costs},
        warnings=_warnings(generated, reference),
        protocol=_protocol(row, reference, count),
        origin={**origin(model.device), "started": started, "finished": _now()},
    )
    _save_real(store, row)
    shown = labels_for(torch.arange(min(count, SHOWN)), model.classes)
    store.save_record(record, {IMAGES: lambda path: _save_images(path, images[:SHOWN], shown)})
    progress.emit({"row": row.key, "status": "done"})


def _draw(row: Row, model: Model, meter: Meter, progress: Progress, batch: int) -> tuple[Tensor, Mapping[str, float]]:
    """The images of a row, and what they cost."""
    recipe, total = row.assembly.recipe, row.assembly.samples
    batches, seconds, done = [], [], 0
    progress("sample", 0, total, steps=recipe.sampling_steps)
    for part in sample_images(model, recipe, total, batch, meter):
        batches.append(part.images)
        seconds.append(part.seconds)
        done += len(part.images)
        progress("sample", done, total, steps=recipe.sampling_steps)
    costs = sampling_costs(meter, model.space.length, [len(images) for images in batches], seconds)
    return torch.cat(batches), {**costs, "peak_memory_bytes": float(peak_memory(model.device))}


def _first(features: Features, count: int) -> Features:
    logits, labels = features.logits, features.labels
    return Features(
        features.features[:count],
        None if logits is None else logits[:count],
        None if labels is None else labels[:count],
    )


def _costs(batch_size: int, model: Model, trained: TrainStep) -> dict[str, float]:
    training = training_costs(trained.flops, trained.seconds, trained.step * batch_size, model.device)
    return {**training, "parameters": float(sum(parameter.numel() for parameter in model.module.parameters()))}


def _warnings(generated: Features, reference: Reference) -> list[str]:
    count, dim = generated.features.shape
    held = len(reference.test.features)
    few = small_sample_warning(count, dim)
    fewer = f"the floor is of {held} held-out images, the scores of {count}" if held < count else None
    return [warning for warning in (few, fewer) if warning]


def _protocol(row: Row, reference: Reference, count: int) -> str:
    dataset = row.assembly.spelled["dataset"]
    return f"{dataset}@{row.assembly.data.fingerprint[:8]}/train/n{count}/balanced/uint8/{reference.extractor.id}"


def _save_real(store: Store, row: Row) -> None:
    """Keep some held-out images, in the order of classes in which samples are drawn, to show beside them."""
    data = row.assembly.data
    path = store.layout.real(data.fingerprint)
    if path.exists():
        return
    labels = data.test_labels
    order = torch.arange(len(data.test)) if labels is None else _by_turns(labels, len(data.class_names))
    chosen = order[:SHOWN]
    kept = torch.full((len(chosen),), -1) if labels is None else labels[chosen]
    write(path, lambda temporary: _save_images(temporary, data.test[chosen], kept))


def _by_turns(labels: Tensor, classes: int) -> Tensor:
    """Rows such that the classes come round in turn: 0, 1, …, K − 1, 0, 1, …"""
    rows = [torch.nonzero(labels == index).flatten() for index in range(classes)]
    fewest = min(len(of_class) for of_class in rows)
    return torch.stack([of_class[:fewest] for of_class in rows], 1).flatten()


def _save_images(path: Any, images: Tensor, labels: Tensor) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=images.numpy(), labels=labels.numpy())
    path.write_bytes(buffer.getvalue())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def origin(device: torch.device) -> dict[str, Any]:
    """Where a result was made: device and versions."""
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return {
        "device": gpu or f"{platform.processor() or platform.machine()} ({torch.get_num_threads()} thread)",
        "host_cores": os.cpu_count(),
        "mgbench": mgbench.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
