"""Draw images from a trained model, and count what it costs where it happens."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mgbench.kinds import UNLABELLED, Parts, TokenSpace
from mgbench.recipe import Recipe
from mgbench.stages.tokenize import decode
from mgbench.steps import Request
from mgbench.streams import Streams

WARM_UP = 2


class Meter:
    """Rows that went through each child of a model, by the name of the child."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()

    @contextmanager
    def watch(self, model: nn.Module) -> Iterator[None]:
        """Count every call of the model's children inside the block."""
        handles = [child.register_forward_hook(self._count(name)) for name, child in model.named_children()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _count(self, name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            self.rows[name] += len(inputs[0])

        return hook


@dataclass(frozen=True)
class Batch:
    """Finished images uint8 [B,C,H,W'], the labels asked for int64 [B], and the seconds they took."""

    images: Tensor
    labels: Tensor
    seconds: float


@dataclass(frozen=True)
class Model:
    """What sampling needs of a finished training."""

    parts: Parts
    module: Any
    tokenizer: Any
    space: TokenSpace
    classes: int
    device: torch.device


def labels_for(indices: Tensor, classes: int) -> Tensor:
    """Balanced labels: image i is asked for class i mod K; -1 where there are no classes."""
    return indices % classes if classes else torch.full_like(indices, UNLABELLED)


@torch.no_grad()
def sample_tokens(model: Model, recipe: Recipe, indices: Tensor) -> Iterator[Any]:
    """Yield the state after every step for the images of these indices int64 [B]."""
    indices = indices.to(model.device)
    images = Streams.root(recipe.seed, "images", model.device).fold(indices)
    shared = Streams.root(recipe.seed, "shared")
    request = Request(labels_for(indices, model.classes), recipe.sampling_steps, images, shared)
    yield from model.parts.process.sample(model.module, model.parts, model.space, request)


def sample_images(model: Model, recipe: Recipe, count: int, batch: int, meter: Meter) -> Iterator[Batch]:
    """Draw images 0 … count − 1 in batches; the images do not depend on the size of the batch.

    The clock stops when the device has finished, and starts after a small batch that is thrown away.
    """
    model.module.eval()
    for _ in sample_tokens(model, recipe, torch.arange(min(WARM_UP, count))):
        pass
    for indices in torch.split(torch.arange(count), batch):
        started = _clock(model.device)
        with meter.watch(model.module):
            for state in sample_tokens(model, recipe, indices):
                last = state
        images = decode(model.tokenizer, last.tokens)
        yield Batch(images, labels_for(indices, model.classes), _clock(model.device) - started)


def _clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
