"""What are images measured against? Real ones, seen once and kept; and what is said of images beside them, and how."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from mgbench.interfaces.components import Metric
from mgbench.interfaces.data import Features, ImageData
from mgbench.recipes.fingerprint import fingerprint
from mgbench.recipes.keys import digest
from mgbench.results.store import FACTS, Store
from mgbench.stages.evaluate import extract, judge, small_sample_warning

FEATURES = "features.safetensors"
_NUMBERS = ("features", "logits", "spatial")


@dataclass(frozen=True)
class Reference:
    """What scores are measured against: real images, and others held out (None: there are none) for the floor.

    `name` says which images these are, as protocols write it: the data, a hash of them, the split and how many. `keys` name
    the folders in which the features of the real and of the held-out images are stored, where they are.
    """

    name: str
    extractor: Any
    real: Features
    held_out: Features | None
    keys: Mapping[str, str] = field(default_factory=dict)

    @property
    def suffix(self) -> str:
        """What scores are named with: the extractor without its hash; nothing for one that the metrics are named for."""
        plain: bool = getattr(self.extractor, "plain", False)
        return "" if plain else self.extractor.id.partition("@")[0]


@dataclass(frozen=True)
class Verdict:
    """What a record says of images: their scores, those of as many real ones, and how both were obtained."""

    scores: dict[str, float]
    floors: dict[str, float]
    warnings: list[str]
    protocol: str


def verdict(
    metrics: Iterable[Metric],
    reference: Reference,
    images: Tensor,
    labels: Tensor | None,
    device: torch.device,
    drawn: str = "balanced",
) -> Verdict:
    """Judge images uint8 [M,C,H,W'] with the labels int64 [M] they should have; `drawn` says how those were chosen."""
    return verdict_of(metrics, reference, features_of(reference, images, labels, device), images, drawn)


def features_of(reference: Reference, images: Tensor, labels: Tensor | None, device: torch.device) -> Features:
    """Images uint8 [M,C,H,W'] with the labels int64 [M] they should have, as the extractor of a reference sees them."""
    # Where the classes of the reference are not those of the extractor, nor are those of the images.
    return extract(reference.extractor, images, labels if reference.real.labels is not None else None, device)


def verdict_of(
    metrics: Iterable[Metric], reference: Reference, generated: Features, images: Tensor, drawn: str = "balanced"
) -> Verdict:
    """Judge images uint8 [M,C,H,W'] by their features; `drawn` says how their labels were chosen."""
    metrics, count = tuple(metrics), len(images)
    held_out = reference.held_out
    found = judge(metrics, generated, replace(reference.real, held_out=held_out), reference.suffix)
    # Held-out images are not told of themselves: what compares with them has no floor.
    floors = judge(metrics, held_out.first(count), reference.real, reference.suffix).scores if held_out else {}
    size = "x".join(map(str, images.shape[2:]))
    protocol = f"{reference.name}/n{count}/{drawn}/uint8/{size}/{reference.extractor.id}"
    return Verdict(found.scores, floors, [*_warnings(count, reference), *found.left_out], protocol)


def _warnings(count: int, reference: Reference) -> list[str]:
    dim, real = reference.real.features.shape[1], len(reference.real.features)
    held = len(reference.held_out.features) if reference.held_out else count
    few = small_sample_warning(count, dim)
    scarce = small_sample_warning(real, dim) if reference.real.statistics is None else None
    fewer = f"the floor is of {held} held-out images, the scores of {count}" if held < count else None
    return [warning for warning in (few, scarce and f"the reference: {scarce}", fewer) if warning]


@lru_cache(maxsize=4)
def reference_of(data: Any, name: str, extractor: Any, device: torch.device, root: Path) -> Reference:
    """The training images of a dataset, and those held out, as an extractor (a component) sees them.

    What was seen before is read from the store at `root`, if the images, the extractor's weights and its code are the same.
    `name` is the spelling of the dataset.

    Raises:
        UserError: if the extractor lacks its library or its weights.
    """
    module, store = extractor.build().to(device), Store(root)
    images: ImageData = data
    by = [str(extractor), module.id, fingerprint(type(extractor))]
    # Logits say nothing of classes they were not trained for.
    told = getattr(module, "classes", images.class_names) == images.class_names

    def seen(split: str, pixels: Tensor, labels: Tensor | None) -> tuple[str, Features]:
        facts = {"data": images.fingerprint, "split": split, "images": list(pixels.shape), "extractor": by}
        return digest(facts), _seen(store, facts, module, pixels, labels if told else None, device)

    key, real = seen("train", images.train, images.train_labels)
    of_held_out, held_out = seen("test", images.test, images.test_labels) if len(images.test) else ("", None)
    keys = {"reference": key} | ({"held_out": of_held_out} if of_held_out else {})
    return Reference(f"{name}@{images.fingerprint[:8]}/train{len(images.train)}", module, real, held_out, keys)


def _seen(
    store: Store, facts: dict[str, Any], module: Any, images: Tensor, labels: Tensor | None, device: torch.device
) -> Features:
    folder = store.layout.reference(digest(facts))
    if store.complete(folder):
        shown = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
        numbers: dict[str, Any] = {name: part.double() for name, part in load_file(folder / FEATURES).items()}
        return Features(**numbers, labels=labels, images=shown, extractor=module)
    seen = extract(module, images, labels, device)
    numbers = {name: getattr(seen, name) for name in _NUMBERS}
    kept = save({name: _shortest(part) for name, part in numbers.items() if part is not None})
    store.publish(
        folder,
        {FEATURES: lambda path: _put(path, kept), FACTS: lambda path: _put(path, json.dumps(facts, indent=1).encode())},
    )
    return seen


def _put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _shortest(numbers: Tensor) -> Tensor:
    """Numbers float64 as float32 where that loses nothing, which is how most extractors answer."""
    short = numbers.float()
    return short if torch.equal(short.double(), numbers) else numbers
