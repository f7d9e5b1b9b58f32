"""Draw images from a trained model, and measure their costs."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.modules import TokenizerModule
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.ranks import ALONE, Team
from mgbench.interfaces.sampling import Request, State
from mgbench.recipes.recipe import Recipe
from mgbench.stages.arithmetic import compiled_blocks, compiles_sampling, sampling_arithmetic, uncompiled
from mgbench.stages.cost import Meter, clock
from mgbench.stages.film import Camera, Film
from mgbench.stages.flops import FlopCounter
from mgbench.stages.labels import labels_for
from mgbench.stages.likelihood import Bound
from mgbench.stages.parallel import blocks_of
from mgbench.stages.tokenize import decode

# Minimum number of batches: the first is a warm-up, and the time per image is the median of the others.
BATCHES = 3


@dataclass(frozen=True)
class Batch:
    """Finished images uint8 [B,C,H,W'], the requested labels int64 [B], and the sampling time in seconds.

    `warm` tells whether the rank had drawn a batch before, so that the time is representative. `film` has the states of
    images that are among the first of the row.
    """

    images: Tensor
    labels: Tensor
    seconds: float
    warm: bool
    film: Film | None = None


@dataclass(frozen=True)
class Model:
    """A trained model with everything that sampling needs.

    `class_counts` has the number of training images of each class; without it, classes count as balanced.
    """

    parts: Parts
    module: nn.Module
    tokenizer: TokenizerModule
    space: TokenSpace
    classes: int
    device: torch.device
    bound: Bound = Bound()
    class_counts: tuple[int, ...] = ()


def sampling_seed(recipe: Recipe) -> int:
    """The seed of labels and noise: `sample_seed` of the recipe, or its `seed`."""
    return recipe.seed if recipe.sample_seed is None else recipe.sample_seed


def asked_labels(recipe: Recipe, model: Model, indices: Tensor) -> Tensor:
    """The requested labels int64 [B] of images with these indices int64 [B]."""
    counts = model.class_counts or (1,) * model.classes
    return labels_for(indices, counts, recipe.label_distribution, sampling_seed(recipe))


@torch.no_grad()
def sample_tokens(model: Model, recipe: Recipe, indices: Tensor) -> Iterator[State]:
    """Yield the state after every step for the images with these indices int64 [B]."""
    indices = indices.to(model.device)
    seed = sampling_seed(recipe)
    images = Streams.root(seed, "images", model.device).fold(indices)
    shared = Streams.root(seed, "shared")
    request = Request(asked_labels(recipe, model, indices), recipe.sampling_steps, images, shared)
    states = model.parts.process.sample(model.module, model.parts, model.space, request)
    while True:
        # Not around the yield, under which the caller goes on.
        with sampling_arithmetic(model.module, recipe, model.device):
            state = next(states, None)
        if state is None:
            return
        yield state


def batches_of(count: int, batch: int) -> Sequence[Tensor]:
    """The indices int64 [B] of `count` images, split into at least three batches of at most `batch`."""
    return torch.split(torch.arange(count), min(batch, math.ceil(count / BATCHES)))


def sample_images(
    model: Model,
    recipe: Recipe,
    count: int,
    batch: int,
    meter: Meter,
    team: Team = ALONE,
    check: Callable[[], None] = lambda: None,
) -> Iterator[Batch]:
    """Draw images 0 … count − 1 in at least three batches of at most `batch`; the images do not depend on the size of
    the batch.

    Operations are counted in the first batch, which rank 0 draws. Rank r draws batches r, r + W, …, so that batches do
    not depend on the number of ranks. What is compiled is compiled before that, outside of all times. `check` is called
    after every step.
    """
    model.module.eval()
    compiles = compiles_sampling(recipe, count, model.device)
    with compiled_blocks(model.module, compiles):
        for turn, indices in enumerate(batches_of(count, batch)[team.rank :: team.size]):
            counts = turn == 0 and team.is_first
            if compiles and turn == 0:
                _warm_up(model, recipe, indices, meter, counts, check)
            camera, started = Camera(indices), clock(model.device)
            with meter.watch(model.module), _counted(meter, model.module, len(indices), counts and not compiles):
                for state in sample_tokens(model, recipe, indices):
                    last = state
                    meter.steps += len(indices)
                    camera.take(state)
                    check()
            images, labels = decode(model.tokenizer, last.tokens), asked_labels(recipe, model, indices)
            seconds = clock(model.device) - started
            yield Batch(images, labels, seconds, turn > 0, camera.film())


def _warm_up(
    model: Model, recipe: Recipe, indices: Tensor, meter: Meter, counts: bool, check: Callable[[], None]
) -> None:
    """Compile by drawing images that are dropped; if `counts`, also count their operations, as written."""
    if counts:
        with uncompiled(compiles=True), _counted(meter, model.module, len(indices), counts):
            for _ in sample_tokens(model, recipe, indices):
                check()
    for _ in sample_tokens(model, recipe, indices):
        check()


@contextmanager
def _counted(meter: Meter, model: nn.Module, images: int, counts: bool) -> Iterator[None]:
    """Context that counts the operations per image, with `images` images drawn inside, if `counts`."""
    if not counts:
        yield
        return
    heads = (child for name, child in model.named_children() if name == "head")
    with FlopCounter() as counter, counter.remembering((*blocks_of(model), *heads)):
        yield
    meter.flops = float(counter.get_total_flops()) / images
    meter.uncounted = tuple(sorted(counter.uncounted))
