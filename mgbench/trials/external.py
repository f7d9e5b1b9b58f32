"""Images made elsewhere, judged as our own are: against the same references, by the same metrics, under the same protocol."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mgbench.errors import UserError, suggestion
from mgbench.interfaces.data import Features, ImageData
from mgbench.recipes.spec import Spec
from mgbench.registry.registry import Registry
from mgbench.registry.resolve import load_images
from mgbench.stages.image_files import Pictures, Published, read_images, read_statistics
from mgbench.trials.real_features import Reference, Verdict, reference_of, verdict

# What looks at images whose data set names no extractor.
EXTRACTOR = "inception"


@dataclass(frozen=True)
class Question:
    """What is asked of foreign images: their path; a data set by its spec, or a path, to compare them with; and how.

    `held_out` is a path of further real images, for the floor. No extractor is that of the data set, or Inception.
    """

    images: Path
    reference: str
    extractor: Spec | None = None
    metrics: tuple[Spec, ...] = ()
    held_out: Path | None = None


def evaluate(registry: Registry, question: Question, device: torch.device, root: Path) -> tuple[Pictures, Verdict]:
    """The images as they were read, and the verdict; what is seen of the reference is kept in the results at `root`.

    Raises:
        UserError: if something cannot be read, or cannot be compared.
    """
    metrics = [registry.build("metric", spec) for spec in question.metrics]
    pictures = read_images(question.images)
    reference, data = _reference(registry, question, device, root)
    if data is not None and data.shape[1:] != tuple(pictures.images.shape[2:]):
        sizes = ["x".join(map(str, size)) for size in (pictures.images.shape[2:], data.shape[1:])]
        raise UserError(
            f"the images are {sizes[0]} and those of the reference {sizes[1]}; bring them to one size, "
            "because how images are resized moves every distance"
        )
    labels = _labels(pictures, data.class_names if data is not None else ())
    found = verdict(metrics, reference, pictures.images, labels, device, _drawn(labels, reference, data))
    return pictures, replace(found, warnings=[*pictures.notes, *found.warnings])


def _reference(
    registry: Registry, question: Question, device: torch.device, root: Path
) -> tuple[Reference, ImageData | None]:
    """What to compare with, and its images, if they are at hand."""
    spec = _dataset(registry, question.reference)
    if spec is not None:
        dataset = registry.build("dataset", spec)
        data, name, usual = load_images(dataset), str(registry.spell("dataset", spec)), dataset.extractor
        if question.held_out is not None:
            raise UserError(f"--held-out is for references that are files; {spec.name} has held-out images of its own")
    else:
        path = Path(question.reference).expanduser()
        _exists(registry, path, question.reference)
        name, usual = path.name, EXTRACTOR
        published = read_statistics(path)
        if published is not None:
            return _of_published(path, published, _extractor(registry, question, usual), device, root)
        data = _as_data(read_images(path), read_images(question.held_out) if question.held_out else None)
    return reference_of(data, name, _extractor(registry, question, usual), device, root), data


def _extractor(registry: Registry, question: Question, usual: str) -> Any:
    if question.extractor is not None:
        return registry.build("extractor", question.extractor)
    extractor = registry.build("extractor", Spec.parse(usual))
    try:
        extractor.build()
    except UserError as error:
        raise UserError(f"{error}; or name what else should look at the images, --extractor …") from None
    return extractor


def _dataset(registry: Registry, text: str) -> Spec | None:
    """The spec of a data set, if the text is one; what else it may be is a path."""
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
        return ImageData(real.images, real.labels, real.images[:0], None, real.class_names)
    if held_out.images.shape[1:] != real.images.shape[1:]:
        raise UserError("the held-out images and those of the reference differ in size or channels; make them alike")
    return ImageData(real.images, real.labels, held_out.images, _labels(held_out, real.class_names), real.class_names)


def _of_published(
    path: Path, published: Published, extractor: Any, device: torch.device, root: Path
) -> tuple[Reference, ImageData | None]:
    """Statistics for the distances that take them, and the images that lie beside them for the other metrics."""
    name = f"{path.name}@{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}/statistics"
    data = _as_data(published.pictures, None) if published.pictures is not None else None
    if data is None:
        empty = torch.empty(0, len(published.features.mean), dtype=torch.float64)
        seen = Reference(name, extractor.build().to(device), Features(empty), None)
    else:
        seen = reference_of(data, path.name, extractor, device, root)
    real = replace(seen.real, statistics=published.features, spatial_statistics=published.spatial)
    return replace(seen, name=name, real=real), data


def _labels(pictures: Pictures, names: Sequence[str]) -> Tensor | None:
    """Labels that mean the classes of the reference.

    Raises:
        UserError: if they are outside of these.
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


def _drawn(labels: Tensor | None, reference: Reference, data: ImageData | None) -> str:
    """How the classes of the images are spread, as protocols write it."""
    if labels is None or data is None:
        return "unlabelled"
    counts = torch.bincount(labels, minlength=len(data.class_names))
    return "balanced" if int(counts.max() - counts.min()) <= 1 else "unbalanced"
