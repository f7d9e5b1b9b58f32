"""Draw images from a trained model, with a meter of what they cost."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import UNLABELLED, TokenSpace
from mgbench.interfaces.modules import TokenizerModule
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.ranks import ALONE, Team
from mgbench.interfaces.sampling import Request, State
from mgbench.recipes.recipe import Recipe
from mgbench.stages.cost import Meter, clock
from mgbench.stages.flops import FlopCounter
from mgbench.stages.likelihood import Bound
from mgbench.stages.tokenize import decode

# Images drawn before the clock starts, by which the arithmetic of an image is counted.
WARM_UP = 16
# Batches at least, whose median is the time of an image.
TIMED = 3


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
    module: nn.Module
    tokenizer: TokenizerModule
    space: TokenSpace
    classes: int
    device: torch.device
    bound: Bound = Bound()


def labels_for(indices: Tensor, classes: int, seed: int | None = None) -> Tensor:
    """Balanced labels: image i is asked for class i mod K, or with a seed for one drawn at random; -1 where there are none."""
    if not classes:
        return torch.full_like(indices, UNLABELLED)
    if seed is None:
        return indices % classes
    return (Streams.root(seed, "labels", indices.device).fold(indices).uniform(1)[:, 0] * classes).long()


def asked_labels(recipe: Recipe, classes: int, indices: Tensor) -> Tensor:
    """The labels that a recipe asks for."""
    return labels_for(indices, classes, None if recipe.balanced_labels else recipe.seed)


@torch.no_grad()
def sample_tokens(model: Model, recipe: Recipe, indices: Tensor) -> Iterator[State]:
    """Yield the state after every step for the images of these indices int64 [B]."""
    indices = indices.to(model.device)
    images = Streams.root(recipe.seed, "images", model.device).fold(indices)
    shared = Streams.root(recipe.seed, "shared")
    request = Request(asked_labels(recipe, model.classes, indices), recipe.sampling_steps, images, shared)
    yield from model.parts.process.sample(model.module, model.parts, model.space, request)


def batches_of(count: int, batch: int) -> Sequence[Tensor]:
    """The indices of `count` images in at least three batches of at most `batch`."""
    return torch.split(torch.arange(count), min(batch, math.ceil(count / TIMED)))


def sample_images(
    model: Model, recipe: Recipe, count: int, batch: int, meter: Meter, team: Team = ALONE
) -> Iterator[Batch]:
    """Draw images 0 … count − 1 in at least three batches of at most `batch`; the images do not depend on the size of the batch.

    The clock stops when the device has finished, and starts after a small batch that is thrown away. The ranks of a team take
    turns: rank r draws batches r, r + W, …, so that the batches are the same whatever their number.
    """
    model.module.eval()
    meter.flops = _flops_per_image(model, recipe, min(WARM_UP, count))
    for indices in batches_of(count, batch)[team.rank :: team.size]:
        started = clock(model.device)
        with meter.watch(model.module):
            for state in sample_tokens(model, recipe, indices):
                last = state
                meter.steps += len(indices)
        images = decode(model.tokenizer, last.tokens)
        yield Batch(images, asked_labels(recipe, model.classes, indices), clock(model.device) - started)


def _flops_per_image(model: Model, recipe: Recipe, count: int) -> float:
    with FlopCounter() as counter:
        for _ in sample_tokens(model, recipe, torch.arange(count)):
            pass
    return float(counter.get_total_flops()) / count
