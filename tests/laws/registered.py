"""Everything that is registered, made with its defaults."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mgbench.recipes.spec import Spec, hints
from mgbench.registry.loading import Registry, load
from tests import files, weights

# Options without a default, files made for tests, and sizes that keep a test short.
OPTIONS: dict[tuple[str, str], str | Callable[[], str]] = {
    ("guidance_schedule", "interval"): "interval(low=0.1, high=0.5, inner=constant(scale=2))",
    ("mask_schedule", "table"): "table([0.953, 0.88, 0.794, 0.746, 0.625, 0.407, 0.261, 0])",
    ("dataset", "shapes"): "shapes(train=48, test=16)",
    ("tokenizer", "kmeans"): "kmeans(codes=16)",
    ("tokenizer", "subtokens"): "subtokens(of=kmeans(codes=16))",
    ("tokenizer", "multiscale"): "multiscale(codes=32)",
    ("tokenizer", "vq"): "vq(codes=64, width=16, steps=60)",
    ("tokenizer", "fsq"): "fsq([8, 8, 8], width=16, steps=60)",
    ("tokenizer", "kl"): "kl(width=16, steps=60)",
    ("solver", "annealed"): "annealed(of=dpmpp_multistep, last=3)",
    ("dataset", "image_folder"): lambda: f"image_folder('{files.class_folders()}')",
    ("dataset", "arrays"): lambda: f"arrays('{files.arrays()}')",
    ("dataset", "cifar10"): lambda: f"cifar10('{files.cifar10()}')",
    ("dataset", "cifar100"): lambda: f"cifar100('{files.cifar100()}')",
    ("dataset", "fashion_mnist"): lambda: f"fashion_mnist('{files.idx()}')",
    ("dataset", "hub"): lambda: f"hub('{files.hub()}')",
    ("dataset", "imagenet"): lambda: f"imagenet('{files.imagenet()}', size=4)",
    ("dataset", "torchvision_mnist"): lambda: f"torchvision_mnist('{files.idx()}')",
    ("extractor", "inception"): lambda: _read("inception", weights.inception()),
    ("extractor", "clip"): lambda: _read("clip", weights.clip()),
    ("extractor", "torchvision"): lambda: f"torchvision(shufflenet_v2_x0_5, '{weights.squeezed()}')",
}
# What reads a model from elsewhere is tested where the tests write one.
READ_FILES = {("tokenizer", name) for name in ("pretrained_kl", "dc_ae", "pretrained_tiny", "pretrained_vq", "detok")}

# Twenty seconds of convolutions.
SLOW = {("extractor", "inception")}


def _read(name: str, file: Path) -> str:
    return f"{name}(path='{file}', checksum='{weights.digest(file)}')"


@cache
def registry() -> Registry:
    loaded = load()
    assert not loaded.problems
    return loaded


def every(kind: str) -> pytest.MarkDecorator:
    """Run a test once for each component of a kind."""
    names = sorted(name for name in registry().names(kind) if (kind, name) not in READ_FILES)
    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=pytest.mark.slow) if (kind, name) in SLOW else name for name in names]
    )


def built(kind: str, name: str) -> Any:
    spec = OPTIONS.get((kind, name), name)
    return registry().build(kind, Spec.parse(spec if isinstance(spec, str) else spec()))


def has_all_defaults(kind: str, name: str) -> bool:
    maker = registry().names(kind)[name].maker
    return all(hasattr(maker, option) for option in hints(maker))
