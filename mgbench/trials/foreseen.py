"""Warnings of records that are known before a run: about data, classes, settings and numbers of images."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache

import torch

from mgbench.interfaces.components import Extractor
from mgbench.registry.resolve import Assembly
from mgbench.stages.evaluate import small_sample_warning
from mgbench.stages.labels import too_few_held_out, unequal_classes


def foreseen(assemblies: Iterable[Assembly]) -> list[str]:
    """The distinct warnings that the records of recipes will certainly have."""
    different = {_decides(assembly): assembly for assembly in assemblies}
    return list(dict.fromkeys(said for assembly in different.values() for said in _foreseen(assembly)))


def _decides(assembly: Assembly) -> tuple[object, ...]:
    recipe, data = assembly.recipe, assembly.data
    numbers = (assembly.samples, recipe.labels, recipe.label_distribution, recipe.reference)
    return data.fingerprint, assembly.spelled["extractor"], *numbers, assembly.advised


def _foreseen(assembly: Assembly) -> Iterator[str]:
    data, count = assembly.data, assembly.samples
    yield from data.notes
    yield from on_labels(assembly, count)
    yield from assembly.advised
    if assembly.parts.extractor is not None and any(data.shape):
        real = assembly.reference_data
        yield from on_numbers(count, _features(assembly.parts.extractor, data.shape), len(real.train), len(real.test))


def on_labels(assembly: Assembly, count: int, drawn: bool = True) -> Iterator[str]:
    """Sentences about unbalanced classes for this number of scored images, which are `drawn` or real."""
    data, recipe = assembly.reference_data, assembly.recipe
    found = [unequal_classes(assembly.class_counts, recipe.label_distribution)] if drawn else []
    if recipe.labels:
        found.append(too_few_held_out(data, count, recipe.label_distribution))
    return filter(None, found)


def on_numbers(count: int, features: int, real: int, held_out: int) -> Iterator[str]:
    """Sentences about numbers of images that are small for this number of features, or differ; numbers of 0 are
    ignored.
    """
    few = small_sample_warning(count, features) if count and features else None
    scarce = small_sample_warning(real, features) if real and features else None
    fewer = f"the floor is of {held_out} held-out images, the scores of {count}" if 0 < held_out < count else None
    return filter(None, [few, scarce and f"the reference: {scarce}", fewer])


@cache
def _features(extractor: Extractor, shape: tuple[int, int, int]) -> int:
    """The number of features of an extractor; 0 if it fails, which is reported when it is used."""
    with suppress(Exception), torch.no_grad():
        return extractor.build()(torch.zeros(1, 3, *shape[1:], dtype=torch.uint8)).features.shape[1]
    return 0
