"""Laws of extractors and metrics."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from mgbench.errors import Unfit
from mgbench.interfaces import optional
from mgbench.interfaces.components import Extractor, Metric
from mgbench.interfaces.data import Features, Statistics
from mgbench.interfaces.optional import declared_scores
from mgbench.interfaces.scores import ScoreInfo, declaration
from mgbench.testing.checks import leaves_random_state, need, same, seeded, unchanged


@torch.no_grad()
def extractor(component: Extractor) -> None:
    module = component.build()
    need(isinstance(module.id, str) and module.id == component.build().id, "the id must be a text, the same every time")
    need(not module.training, "the network must be in evaluation mode")
    for side, count in ((8, 3), (16, 16), (20, 3)):
        images = torch.randint(256, (count, 3, side, side), dtype=torch.uint8, generator=seeded())
        with unchanged(images):
            said, again, one = module(images), module(images[:3]), module(images[1:2])
        need(said.features.ndim == 2 and said.features.isfinite().all(), "features must be finite and [B,F]")
        for numbers in (said.logits, said.spatial):
            need(numbers is None or (numbers.ndim == 2 and len(numbers) == count), "logits must be [B,K]")
        near = 1e-4 * float(said.features.abs().max())
        need(same(module(images[:3]).features, again.features), "the same images must have the same features")
        need(same(said.features[1:2], one.features, near), "features must not depend on the batch")
        need((said.features.diff(dim=0).abs().amax(1) > 0).all(), "different images must have different features")


class Pixels(nn.Module):
    """An extractor for tests: some pixels of 4x4 images are the features, and others the logits."""

    id = "pixels@0000"
    side = 4

    def forward(self, images: Tensor) -> Features:
        numbers = images.flatten(1).double() / 64 - 2
        return Features(numbers[:, :4], numbers[:, 4:7], spatial=numbers[:, 8:14])


def seen(images: Tensor, labels: Tensor | None = None) -> Features:
    """The complete input of a metric for images uint8 [M,3,4,4]."""
    eye: Any = Pixels().eval()
    said: Features = eye(images)
    return replace(said, images=images, extractor=eye, labels=labels)


@leaves_random_state
def metric(component: Metric) -> None:
    first, second, third = torch.randint(200, (3, 64, 3, 4, 4), dtype=torch.uint8, generator=seeded())
    labels = torch.arange(64) % 3
    one, two = (replace(seen(images, labels), held_out=seen(third, labels)) for images in (first, second + 50))
    kept = one.features.clone()
    for pair in ((one, one), (one, two)):
        said = component(*pair)
        need(isinstance(said, Mapping), "a metric must name its numbers")
        need(all(math.isfinite(value) for value in said.values()), "the numbers must be finite, also for equal sets")
        need(said == component(*pair), "the same features must give the same numbers")
    need(bool(component(one, two)), "all there is to see must give some number")
    _bare(component, one, two)
    _states(component, first, second + 50)
    _known(component, one, two)
    need(same(one.features, kept), "a metric must leave the features as they are")
    _declared(component, one, two)


def _declared(component: Metric, one: Features, two: Features) -> None:
    """Every number is declared, and a number declared to depend only on images does not depend on the features."""
    said, declared = component(one, two), declared_scores(component)
    known = {name: declaration(declared, name) for name in said}
    missing = [name for name, info in known.items() if info is None]
    need(not missing, f"label, unit and better direction of {', '.join(missing)} must be declared in `scores`")
    need(all(isinstance(info, ScoreInfo) and info.label for info in declared.values()), "each needs a label")
    need(all(info.better in ("lower", "higher") for info in declared.values()), "better is 'lower' or 'higher'")
    of_images = [name for name, info in known.items() if info is not None and info.of == "images"]
    other = [replace(part, features=part.features.flip(1) * 3 + 1) for part in (one, two)]
    again = component(*other) if of_images else {}
    for name in of_images:
        need(again.get(name) == said[name], f"{name} is declared to be of images, and depends on the features")


def _states(component: Metric, first: Tensor, second: Tensor) -> None:
    merging = optional.mergeable(component)
    if merging is None:
        return
    labels = torch.arange(64) % 3
    one, two = seen(first, labels), seen(second, labels)
    whole = component(one, two)
    real = merging.update(None, two)
    for sizes in ([64], [1, 63], [20, 20, 24]):
        rows = torch.split(torch.arange(64), sizes)
        parts = [seen(first[some], labels[some]) for some in rows]
        grown: Any = None
        for part in parts:
            grown = merging.update(grown, part)
        merged = merging.update(None, parts[0])
        for part in parts[1:]:
            before = {name: numbers.clone() for name, numbers in merged.items()}
            other = merging.merge(merged, merging.update(None, part))
            need(all(same(merged[name], before[name]) for name in before), "a state must not be changed in place")
            merged = other
        for state in (grown, merged, optional.finished(merging, merged)):
            found = merging.compute(state, optional.finished(merging, real))
            need(_close(found, whole), "a state of batches must give the numbers of all features at once")


def _known(component: Metric, one: Features, two: Features) -> None:
    comparing = optional.comparing(component)
    if comparing is None:
        return
    known = comparing.of_reference(replace(two, held_out=None))
    for other in (two, one):
        found = comparing.compare(other, two, known)
        need(found == component(other, two), "what is known of the reference must give the same numbers")


def _close(one: Mapping[str, float], two: Mapping[str, float]) -> bool:
    return one.keys() == two.keys() and all(
        math.isclose(one[name], two[name], rel_tol=1e-7, abs_tol=1e-9) for name in one
    )


def _bare(component: Metric, one: Features, two: Features) -> None:
    statistics = Statistics(two.features.mean(0), torch.cov(two.features.T))
    known = Features(two.features[:0], statistics=statistics)
    for reference in (Features(two.features), known):
        try:
            said = component(Features(one.features), reference)
        except Unfit as reason:
            need(bool(str(reason)), "what is not there must be named")
        else:
            need(isinstance(said, Mapping), "a metric must name its numbers")
