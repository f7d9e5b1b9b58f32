"""Features and metric states of real images, computed once and stored in the results folder."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from mgbench.interfaces import optional
from mgbench.interfaces.components import Extractor, MergeableMetric, Metric
from mgbench.interfaces.data import ExtractorModule, Features, ImageData
from mgbench.interfaces.images import Images, in_colour, taken
from mgbench.interfaces.progress import UNREPORTED, Advance
from mgbench.recipes.fingerprint import fingerprint
from mgbench.recipes.recipe import LabelDistribution
from mgbench.results.store import Store
from mgbench.stages.evaluate import MetricScores, compute_scores
from mgbench.stages.extract import HERE, Pass, Through, extract
from mgbench.stages.extracted import BATCH, Extracted, Way
from mgbench.stages.labels import held_out_rows
from mgbench.trials.stored_features import FEATURE, STATE, Shelf, StoredExtracted, StreamedExtracted, described

FEATURES, FLOORS = "features.safetensors", "floors.json"
# Features of real images, as float64, of more bytes than these are not held; all that fit are.
FEATURE_BYTES, _MANY_FEATURES = 2**32, 4096
_NUMBERS = ("features", "logits", "spatial")


@dataclass(frozen=True)
class Reference:
    """The real images that scores are measured against, and held-out real images for the floor (None: there are none).

    `name` identifies the images as protocols do: the data, their hash, the split and their number. `keys` are those of
    the folders with the features of the real and of the held-out images, if these are stored; `order` is the
    distribution of labels among the first held-out images.
    """

    name: str
    extractor: Any
    real: Extracted
    held_out: Extracted | None
    keys: Mapping[str, str] = field(default_factory=dict)
    order: LabelDistribution = "balanced"

    @property
    def suffix(self) -> str:
        """The suffix of score names: the extractor without its hash; empty for the one after which metrics are named."""
        return "" if optional.is_plain(self.extractor) else str(self.extractor.id).partition("@")[0]

    @property
    def knows_labels(self) -> bool:
        """Whether the classes of the extractor are those of the images."""
        return self.real.labelled

    def floors(self, metrics: Sequence[Metric], count: int) -> MetricScores:
        """The scores of the first `count` held-out images; empty without held-out images."""
        if self.held_out is None:
            return MetricScores({})
        found = [self._floor(metric, self.held_out, count) for metric in metrics]
        scores = {name: value for part in found for name, value in part.scores.items()}
        return MetricScores(scores, tuple(reason for part in found for reason in part.left_out))

    def _floor(self, metric: Metric, held_out: Extracted, count: int) -> MetricScores:
        facts, real = described(metric), self.real
        if not isinstance(held_out, StoredExtracted) or facts is None:
            return self._score(metric, held_out, count)
        if not isinstance(real, StoredExtracted | StreamedExtracted):
            return self._score(metric, held_out, count)
        more = {
            "floor": facts,
            "first": min(count, held_out.count),
            "order": self.order,
            "reference": dict(real.shelf.facts),
            "suffix": self.suffix,
        }
        found = held_out.shelf.read(more, FLOORS)
        if found is not None:
            content = json.loads(found.read_text(encoding="utf-8"))
            return MetricScores(content["scores"], tuple(content["left_out"]))
        scored = self._score(metric, held_out, count)
        content = {"scores": scored.scores, "left_out": scored.left_out}
        held_out.shelf.save(more, FLOORS, json.dumps(content).encode())
        return scored

    def _score(self, metric: Metric, held_out: Extracted, count: int) -> MetricScores:
        return compute_scores((metric,), Extracted.of(held_out.features.first(count)), self.real, self.suffix)


@lru_cache(maxsize=4)
def reference_of(
    data: ImageData,
    name: str,
    extractor: Extractor,
    device: torch.device,
    root: Path,
    distribution: LabelDistribution = "balanced",
    advance: Advance = UNREPORTED,
    through: Through = HERE,
) -> Reference:
    """The features of the training images of a dataset, and of its held-out images, by an extractor (a component).

    Features are read from the store at `root` if they were extracted before, from the same images by the same weights
    and code. `name` is the spelling of the dataset. The first of the held-out images have labels of this distribution,
    as far as there are enough of each class. `advance` is called after every batch that is extracted, `through` says
    where.

    Raises:
        UserError: if the extractor lacks its library or its weights.
    """
    module, store = extractor.build().to(device), Store(root)
    images: ImageData = data
    # Logits are of no use for classes that the extractor was not trained on.
    known = optional.class_names(module, images.class_names) == images.class_names

    def seen(split: str, pixels: Images, labels: Tensor | None) -> "_Real":
        shelf = _shelf(store, images, split, pixels, extractor, module)
        return _Real(shelf, split, pixels, labels if known else None, Pass(module, device), advance)

    real = seen("train", images.train, images.train_labels).extracted(through)
    order = held_out_rows(images, len(images.test), distribution)
    held_out = None
    if len(images.test):
        test = seen("test", images.test, images.test_labels)
        held_out = StoredExtracted(test.features(through).taken(order), test.shelf)
    keys = {"reference": real.shelf.key} | ({"held_out": held_out.shelf.key} if held_out else {})
    protocol = f"{name}@{images.fingerprint[:8]}/train{len(images.train)}"
    return Reference(protocol, module, real, held_out, keys, distribution)


def _shelf(
    store: Store, data: ImageData, split: str, pixels: Images, extractor: Extractor, module: ExtractorModule
) -> Shelf:
    by = [str(extractor), module.id, fingerprint(type(extractor))]
    return Shelf(store, {"data": data.fingerprint, "split": split, "images": list(pixels.shape), "extractor": by})


def is_stored(data: ImageData, extractor: Extractor, metrics: Iterable[Metric], store: Store) -> bool:
    """Whether features of the training images are stored, or the states of all metrics that look at them."""
    shelf = _shelf(store, data, "train", data.train, extractor, extractor.build())
    if shelf.read({}, FEATURES) is not None:
        return True
    facts = [described(metric) for metric in metrics if optional.mergeable(metric) and optional.needs_reference(metric)]
    return bool(facts) and all(fact is not None and shelf.read({"state": fact}, STATE) is not None for fact in facts)


@dataclass(frozen=True)
class _Real:
    """Real images of a split with the labels int64 [M] that the extractor knows (None: none), and their pass through it."""

    shelf: Shelf
    split: str
    images: Images
    labels: Tensor | None
    work: Pass
    advance: Advance

    def extracted(self, through: Through) -> StoredExtracted | StreamedExtracted:
        """The images as metrics see them."""
        count = len(self.images)
        # Only of many images is it worth a look how many features an extractor has.
        if count * _MANY_FEATURES * FEATURE <= FEATURE_BYTES:
            return StoredExtracted(self.features(through), self.shelf)
        first, labels = taken(self.images, slice(BATCH)), None if self.labels is None else self.labels[:BATCH]
        opening = extract(self.work.extractor, first, labels, self.work.device)
        if count * opening.features.shape[1] * FEATURE <= FEATURE_BYTES:
            return StoredExtracted(self.features(through), self.shelf)
        return StreamedExtracted(self.shelf, count, opening, self._grown)

    def _grown(self, metrics: Sequence[MergeableMetric], through: Way) -> Extracted:
        work = replace(self.work, metrics=tuple(metrics), keeps=False)
        return through(work, self.images, self.labels, self.split, self.advance)

    def features(self, through: Through) -> Features:
        """The features of all images, read from the store if they were extracted before."""
        file = self.shelf.read({}, FEATURES)
        if file is not None:
            shown, extractor = in_colour(self.images), self.work.extractor
            stored: dict[str, Any] = {name: part.double() for name, part in load_file(file).items()}
            return Features(**stored, labels=self.labels, images=shown, extractor=extractor)
        seen = through(self.work, self.images, self.labels, self.split, self.advance).features
        found = {name: part for name in _NUMBERS if (part := getattr(seen, name)) is not None}
        self.shelf.save({}, FEATURES, save({name: _shortest(part) for name, part in found.items()}))
        return seen


def _shortest(numbers: Tensor) -> Tensor:
    """Numbers float64 as float32 if that loses nothing, as for most extractors."""
    short = numbers.float()
    return short if torch.equal(short.double(), numbers) else numbers
