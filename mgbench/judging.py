"""What are images worth? Their scores, those of as many real ones, and how both were obtained; and images to look at."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mgbench.assembly import load_images
from mgbench.components.metrics import small_sample_warning
from mgbench.environment import environment
from mgbench.kinds import Features, ImageData
from mgbench.plan import Row
from mgbench.stages.evaluate import extract, judge
from mgbench.store import Store, Writer, write

IMAGES = "images.npz"
SHOWN = 100


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


def judged(row: Row, images: Tensor, labels: Tensor | None, device: torch.device) -> dict[str, Any]:
    """What a record says of images uint8 [M,C,H,W'] with the labels they should have: scores, floors, warnings, protocol."""
    parts, count = row.assembly.parts, len(images)
    scored_by: tuple[Any, Any] = (parts.dataset, parts.extractor)
    reference = _reference(*scored_by, device)
    generated = extract(reference.extractor, images, labels, device)
    return {
        "scores": dict(judge(parts.metrics, generated, reference.train, reference.name)),
        "floors": dict(judge(parts.metrics, _first(reference.test, count), reference.train, reference.name)),
        "warnings": _warnings(generated, reference),
        "protocol": _protocol(row, reference, count),
    }


def _first(features: Features, count: int) -> Features:
    logits, labels = features.logits, features.labels
    return Features(
        features.features[:count],
        None if logits is None else logits[:count],
        None if labels is None else labels[:count],
    )


def _warnings(generated: Features, reference: Reference) -> list[str]:
    count, dim = generated.features.shape
    held = len(reference.test.features)
    few = small_sample_warning(count, dim)
    fewer = f"the floor is of {held} held-out images, the scores of {count}" if held < count else None
    return [warning for warning in (few, fewer) if warning]


def _protocol(row: Row, reference: Reference, count: int) -> str:
    dataset = row.assembly.spelled["dataset"]
    return f"{dataset}@{row.assembly.data.fingerprint[:8]}/train/n{count}/balanced/uint8/{reference.extractor.id}"


def save_real(store: Store, data: ImageData) -> None:
    """Keep the held-out images that are shown beside others."""
    path = store.layout.real(data.fingerprint)
    if path.exists():
        return
    rows, labels = shown_rows(data), data.test_labels
    kept = torch.full((len(rows),), -1) if labels is None else labels[rows]
    write(path, images_writer(data.test[rows], kept))


def shown_rows(data: ImageData) -> Tensor:
    """Which held-out images are shown: some, in the order of classes in which samples are drawn."""
    labels = data.test_labels
    order = torch.arange(len(data.test)) if labels is None else _by_turns(labels, len(data.class_names))
    return order[:SHOWN]


def _by_turns(labels: Tensor, classes: int) -> Tensor:
    """Rows such that the classes come round in turn: 0, 1, …, K − 1, 0, 1, …"""
    rows = [torch.nonzero(labels == index).flatten() for index in range(classes)]
    fewest = min(len(of_class) for of_class in rows)
    return torch.stack([of_class[:fewest] for of_class in rows], 1).flatten()


def images_writer(images: Tensor, labels: Tensor) -> Writer:
    """What writes images uint8 [M,C,H,W'] and labels int64 [M] as `images.npz`."""
    arrays: Mapping[str, Any] = {"images": images.numpy(), "labels": labels.numpy()}

    def put(path: Path) -> None:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        path.write_bytes(buffer.getvalue())

    return put


def now() -> str:
    """The time, as records write it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def origin(device: torch.device, started: str) -> dict[str, Any]:
    """Where a result was made, with which versions, and when."""
    return {**environment(device), "started": started, "finished": now()}
