"""Score images made elsewhere by the same references, metrics and protocol as those of trials."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mgbench.errors import Unfit, UserError, suggestion
from mgbench.interfaces import optional
from mgbench.interfaces.components import Dataset, Extractor, Metric
from mgbench.interfaces.data import Features, ImageData
from mgbench.interfaces.images import Images
from mgbench.recipes.recipe import LabelDistribution
from mgbench.recipes.spec import Spec
from mgbench.registry.prepared import load_images
from mgbench.registry.registry import Registry
from mgbench.stages.extract import pass_for, put_through
from mgbench.stages.extracted import Extracted
from mgbench.stages.image_files import Floats, StoredStatistics, read_images, read_statistics
from mgbench.stages.labels import in_shares
from mgbench.stages.picture_folders import Pictures
from mgbench.trials.external_extractors import build_extractor, check_extractor, named_extractor
from mgbench.trials.image_scores import ImageScores, score_against
from mgbench.trials.real_features import Reference, reference_of

# The number of images assumed for statistics that do not give theirs: enough for every metric.
_ENOUGH = 2**31
# The number of images whose brightness is averaged, at most about twice that.
_LOOKED_AT = 1000


@dataclass(frozen=True)
class Question:
    """A request to score foreign images: their path, the reference (a spec of a data set, or a path), extractor and
    metrics.

    `held_out` is a path of further real images, for the floor. Without `extractor` that of the data set is used, or
    Inception. `floats` is the conversion of float arrays to uint8; without it, such arrays are refused.
    """

    images: Path
    reference: str
    extractor: Spec | None = None
    metrics: tuple[Spec, ...] = ()
    held_out: Path | None = None
    floats: Floats | None = None


@dataclass(frozen=True)
class Answer:
    """The scores of foreign images: their number, their shape (C,H,W') or None for statistics only, and the result.

    `statistics` are arrays of the scored images under their usual names (`mu`, `sigma`, …).
    """

    count: int
    shape: tuple[int, ...] | None
    result: ImageScores
    statistics: Mapping[str, Any] = field(default_factory=dict)


def evaluate(registry: Registry, question: Question, device: torch.device, root: Path) -> Answer:
    """Score foreign images, or stored statistics of them; features of the reference are stored in the results at
    `root`.

    Raises:
        UserError: if a file cannot be read, or images and reference cannot be compared.
    """
    metrics = tuple(registry.build(Metric, spec) for spec in question.metrics)
    stored = read_statistics(question.images)
    if stored is not None and stored.pictures is None:
        return _evaluate_statistics(registry, question, metrics, stored, device, root)
    pictures = read_images(question.images, question.floats)
    reference, data = _reference(registry, question, device, root, pictures)
    _same_size(pictures, data)
    labels = _labels(pictures, data.class_names if data is not None else ())
    shown = labels if reference.knows_labels else None
    seen = put_through(pass_for(reference.extractor, device, metrics), pictures.images, shown)
    size = "x".join(map(str, pictures.images.shape[2:]))
    what = f"n{len(pictures.images)}/{_drawn(labels, data)}/{pictures.pixels}/{size}"
    found = score_against(metrics, reference, seen, what)
    notes = [*pictures.notes, *(data.notes if data is not None else ()), *_brightness(pictures, data)]
    result = replace(found, warnings=[*dict.fromkeys([*notes, *found.warnings])])
    return _checked(Answer(seen.count, tuple(pictures.images.shape[1:]), result, _statistics(metrics, seen, result)))


def _evaluate_statistics(
    registry: Registry,
    question: Question,
    metrics: tuple[Metric, ...],
    stored: StoredStatistics,
    device: torch.device,
    root: Path,
) -> Answer:
    reference, _ = _reference(registry, question, device, root, of_images=stored.extractor)
    check_extractor(question.images, stored, reference.extractor)
    count = stored.features.count
    result = score_against(metrics, reference, _unseen(stored), f"n{count or 'unknown'}/statistics", count)
    if not count:
        unknown = f"{question.images} does not say of how many images its statistics are; write N beside mu and sigma"
        result = replace(result, warnings=[unknown, *result.warnings])
    return _checked(Answer(count, None, result))


def _unseen(stored: StoredStatistics) -> Extracted:
    empty = torch.empty(0, len(stored.features.mean), dtype=torch.float64)
    known = Features(empty, statistics=stored.features, spatial_statistics=stored.spatial)
    return Extracted(stored.features.count or _ENOUGH, known, empty)


def _checked(answer: Answer) -> Answer:
    """The answer unchanged.

    Raises:
        UserError: if it has no score, with the reasons.
    """
    if not answer.result.scores and answer.result.warnings:
        raise UserError("no metric fits: " + "; ".join(answer.result.warnings))
    return answer


def _statistics(metrics: Sequence[Metric], seen: Extracted, result: ImageScores) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for merging in (optional.mergeable(metric) for metric in metrics):
        with suppress(Unfit):
            if merging is not None:
                found |= {
                    name: part.numpy() for name, part in optional.statistics(merging, seen.state(merging)).items()
                }
    return {**found, "N": np.array(seen.count), "protocol": np.array(result.protocol)} if found else {}


def _same_size(pictures: Pictures, data: ImageData | None) -> None:
    if data is not None and data.shape[1:] != tuple(pictures.images.shape[2:]):
        sizes = ["x".join(map(str, size)) for size in (pictures.images.shape[2:], data.shape[1:])]
        raise UserError(
            f"the images are {sizes[0]} and those of the reference {sizes[1]}; bring them to one size, "
            "because how images are resized moves every distance"
        )


# A ratio of mean brightness below this usually means a wrong range of pixel values.
_DARKER = 0.5


def _brightness(pictures: Pictures, data: ImageData | None) -> list[str]:
    """A warning if the images are far darker or lighter than the real ones."""
    if data is None or not len(data.train):
        return []
    ours, theirs = (_bright(images) for images in (pictures.images, data.train))
    if min(ours, theirs) >= _DARKER * max(ours, theirs):
        return []
    return [
        f"the images are {ours:.0f} grey levels bright on average and the real ones {theirs:.0f}; if that is "
        "not intended, check the conversion of floats to uint8"
    ]


def _bright(images: Images) -> float:
    return float(images[:: max(1, len(images) // _LOOKED_AT)].float().mean())


def _reference(
    registry: Registry,
    question: Question,
    device: torch.device,
    root: Path,
    pictures: Pictures | None = None,
    of_images: str = "",
) -> tuple[Reference, ImageData | None]:
    """The reference for pictures, or for statistics `of_images` by this extractor; and its images unless only
    statistics are available.
    """
    spec = _dataset(registry, question.reference)
    if spec is not None:
        dataset = registry.build(Dataset, spec)
        data, name = load_images(dataset), str(registry.spell("dataset", spec))
        usual = Spec.parse(dataset.extractor)
        if question.held_out is not None:
            raise UserError(f"--held-out is for references that are files; {spec.name} has held-out images of its own")
    else:
        path = Path(question.reference).expanduser()
        _exists(registry, path, question.reference)
        name, stored = path.name, read_statistics(path)
        said = {question.images: of_images, path: stored.extractor if stored is not None else ""}
        usual = question.extractor or named_extractor(registry, {file: name for file, name in said.items() if name})
        if stored is not None:
            extractor = build_extractor(registry, question.extractor, usual)
            found = _of_stored(path, stored, extractor, device, root)
            check_extractor(path, stored, found[0].extractor)
            return found
        data = _as_data(read_images(path), read_images(question.held_out) if question.held_out else None)
    labels = None if pictures is None else _labels(pictures, data.class_names)
    order: LabelDistribution = "data" if _drawn(labels, data) == "data" else "balanced"
    return reference_of(data, name, build_extractor(registry, question.extractor, usual), device, root, order), data


def _dataset(registry: Registry, text: str) -> Spec | None:
    """The spec of a data set, or None if the text names none and is to be read as a path."""
    try:
        spec = Spec.parse(text)
    except UserError:
        return None
    return spec if spec.name in registry.names("dataset") else None


def _exists(registry: Registry, path: Path, text: str) -> None:
    if not path.exists():
        known = suggestion(text, registry.names("dataset"))
        raise UserError(f"the reference {text!r} is neither a data set nor a file or folder; {known}")


def _as_data(real: Pictures, held_out: Pictures | None) -> ImageData:
    if real.labels is not None and not real.class_names:
        real = replace(real, class_names=tuple(str(label) for label in range(int(real.labels.max()) + 1)))
    if held_out is None:
        return ImageData(real.images, real.labels, real.images[:0], None, real.class_names, notes=real.notes)
    if held_out.images.shape[1:] != real.images.shape[1:]:
        raise UserError("the held-out images and those of the reference differ in size or channels; make them alike")
    labels, notes = _labels(held_out, real.class_names), (*real.notes, *held_out.notes)
    return ImageData(real.images, real.labels, held_out.images, labels, real.class_names, notes=notes)


def _of_stored(
    path: Path, stored: StoredStatistics, extractor: Extractor, device: torch.device, root: Path
) -> tuple[Reference, ImageData | None]:
    """A reference of stored statistics, and the images beside them, if any, for metrics that need images."""
    name = f"{path.name}@{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}/statistics"
    if stored.pictures is None:
        return Reference(name, extractor.build().to(device), Extracted.of(_unseen(stored).features), None), None
    data = _as_data(stored.pictures, None)
    seen = reference_of(data, path.name, extractor, device, root)
    known = replace(seen.real.features, statistics=stored.features, spatial_statistics=stored.spatial)
    return Reference(name, seen.extractor, Extracted.of(known), None), data


def _labels(pictures: Pictures, names: Sequence[str]) -> Tensor | None:
    """Labels int64 [M] in the class numbers of the reference; None if the images have none or other classes.

    Raises:
        UserError: if a label is outside the classes of the reference.
    """
    labels = pictures.labels
    if labels is None or not names:
        return None
    if pictures.class_names:
        unknown = [name for name in pictures.class_names if name not in names]
        if unknown:
            return None
        return torch.tensor([list(names).index(name) for name in pictures.class_names])[labels]
    if int(labels.max()) >= len(names) or int(labels.min()) < 0:
        raise UserError(
            f"a label of the images is {int(labels.max())}, and the reference has the classes 0 to {len(names) - 1}"
        )
    return labels


def _drawn(labels: Tensor | None, data: ImageData | None) -> str:
    """The distribution of the labels, as protocols write it; `data` if it is that of the reference."""
    if labels is None or data is None:
        return "unlabelled"
    counts = torch.bincount(labels, minlength=len(data.class_names))
    if int(counts.max() - counts.min()) <= 1:
        return "balanced"
    return "data" if data.class_counts and in_shares(counts.tolist(), data.class_counts) else "unbalanced"
