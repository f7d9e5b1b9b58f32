"""The laws of what judges images: what an extractor sees, and what a metric makes of it."""

import math
from collections.abc import Mapping
from typing import Any

import torch

from mgbench.kinds import Features
from mgbench.testing.checks import need, same, seeded


@torch.no_grad()
def extractor(component: Any) -> None:
    module = component.build()
    need(isinstance(module.id, str) and module.id == component.build().id, "the id must be a text, the same every time")
    need(not module.training, "the network must be in evaluation mode")
    for side in (8, 16, 20):
        images = torch.randint(256, (5, 3, side, side), dtype=torch.uint8, generator=seeded())
        said, again, few = module(images), module(images), module(images[1:3])
        need(said.features.ndim == 2 and said.features.isfinite().all(), "features must be finite and [B,F]")
        need(said.logits is None or (said.logits.ndim == 2 and len(said.logits) == 5), "logits must be [B,K]")
        need(same(said.features, again.features), "the same images must have the same features")
        near = 1e-4 * float(said.features.abs().max())
        need(same(said.features[1:3], few.features, near), "features must not depend on the batch")
        need((said.features.diff(dim=0).abs().amax(1) > 0).all(), "different images must have different features")


def metric(component: Any) -> None:
    first, second = torch.randn(2, 64, 4, dtype=torch.float64, generator=seeded())
    labels = torch.arange(64) % 3
    one, two = (Features(x, x[:, :3], labels) for x in (first, second + 1))
    kept = one.features.clone()
    for pair in ((one, one), (one, two), (Features(first), Features(second))):
        said = component(*pair)
        need(isinstance(said, Mapping), "a metric must name its numbers")
        need(all(math.isfinite(value) for value in said.values()), "the numbers must be finite, also for equal sets")
        need(said == component(*pair), "the same features must give the same numbers")
    need(bool(component(one, two)), "features with logits and labels must give some number")
    need(same(one.features, kept), "a metric must leave the features as they are")
