"""Everything that is registered, made with its defaults."""

from functools import cache
from typing import Any

import pytest

from mgbench.plugins import Registry, load
from mgbench.spec import Spec, hints

# Options without a default, and sizes that keep a test short.
OPTIONS = {
    ("guidance_schedule", "interval"): "interval(low=0.1, high=0.5, inner=constant(scale=2))",
    ("mask_schedule", "table"): "table([0.953, 0.88, 0.794, 0.746, 0.625, 0.407, 0.261, 0])",
    ("dataset", "shapes"): "shapes(train=48, test=16)",
    ("tokenizer", "kmeans"): "kmeans(codes=16)",
    ("tokenizer", "multiscale"): "multiscale(codes=32)",
    ("tokenizer", "vq"): "vq(codes=64, width=16, steps=60)",
    ("tokenizer", "fsq"): "fsq([8, 8, 8], width=16, steps=60)",
    ("tokenizer", "kl"): "kl(width=16, steps=60)",
}
# What reads a model from elsewhere is tested where the tests write one.
READ_FILES = {("tokenizer", "pretrained_kl"), ("tokenizer", "dc_ae")}


@cache
def registry() -> Registry:
    loaded = load()
    assert not loaded.problems
    return loaded


def every(kind: str) -> pytest.MarkDecorator:
    """Run a test once for each component of a kind."""
    return pytest.mark.parametrize(
        "name", sorted(name for name in registry().names(kind) if (kind, name) not in READ_FILES)
    )


def built(kind: str, name: str) -> Any:
    return registry().build(kind, Spec.parse(OPTIONS.get((kind, name), name)))


def has_all_defaults(kind: str, name: str) -> bool:
    maker = registry().names(kind)[name].maker
    return all(hasattr(maker, option) for option in hints(maker))
