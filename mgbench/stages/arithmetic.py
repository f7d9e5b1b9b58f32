"""The arithmetic of models: precision, recomputation to save memory, and compilation."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

from mgbench.recipes.recipe import Recipe
from mgbench.stages.parallel import blocks_of

# Compiling takes about a minute; on a CPU, what is compiled was slower than what is not (docs/guides/training.md).
COMPILED_STEPS, COMPILED_DRAWS = 2000, 50_000
_SHORT = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def short_type(recipe: Recipe, device: torch.device) -> torch.dtype | None:
    """The 16-bit type of matrix products, if they have one; weights, averages and the optimizer are always float32."""
    automatic = "bfloat16" if device.type == "cuda" else "float32"
    return _SHORT.get(automatic if recipe.precision == "auto" else recipe.precision)


def autocast(dtype: torch.dtype | None, device: torch.device) -> AbstractContextManager[Any]:
    """Context in which matrix products have this type."""
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype)


@contextmanager
def sampling_arithmetic(model: nn.Module, recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Inside the `with`, products of a model are of the type in which the recipe draws images; gradients must be off."""
    short = _SHORT.get(recipe.sampling_precision)
    if short is None:
        yield
        return
    # Autocast keeps the short copy of a weight only if it could have a gradient; of others each use makes a new one.
    frozen = [weight for weight in model.parameters() if not weight.requires_grad]
    for weight in frozen:
        weight.requires_grad_(True)
    try:
        with autocast(short, device):
            yield
    finally:
        for weight in frozen:
            weight.requires_grad_(False)


def recompute_blocks(model: nn.Module) -> None:
    """Make blocks keep only their input and recompute the rest in the backward pass, bit for bit (arXiv:1604.06174)."""
    for block in blocks_of(model):
        _replace_forward(block, _recomputed(block.forward))


def _recomputed(forward: Callable[..., Any]) -> Callable[..., Any]:
    def run(*inputs: object, **options: object) -> object:
        # Tangents of forward-mode derivatives are gone by the time of the backward pass.
        if not torch.is_grad_enabled() or forward_ad._current_level >= 0:
            return forward(*inputs, **options)
        found: object = checkpoint(partial(forward, *inputs, **options), use_reentrant=False)
        return found

    return run


def compiles(recipe: Recipe, device: torch.device) -> bool:
    """Whether blocks are compiled; with `auto` on GPUs, if the training is long enough to pay for it."""
    pays = device.type == "cuda" and recipe.train_steps >= COMPILED_STEPS
    return recipe.compile == "on" or (recipe.compile == "auto" and pays)


def compiles_sampling(recipe: Recipe, images: int, device: torch.device) -> bool:
    """Whether blocks are compiled to draw this number of images; with `auto` on GPUs, if there are many."""
    pays = device.type == "cuda" and images * recipe.sampling_steps >= COMPILED_DRAWS
    return recipe.sampling_compile == "on" or (recipe.sampling_compile == "auto" and pays)


@contextmanager
def compiled_blocks(model: nn.Module, compiles: bool) -> Iterator[None]:
    """Context in which blocks run compiled, if `compiles`."""
    before = {block: vars(block).get("forward") for block in blocks_of(model)} if compiles else {}
    if compiles:
        compile_blocks(model)
    try:
        yield
    finally:
        for block, forward in before.items():
            del block.forward
            if forward is not None:
                _replace_forward(block, forward)


def compile_blocks(model: nn.Module) -> None:
    """Compile blocks for any sequence length (torch.compile); blocks of one kind share a graph."""
    for block in blocks_of(model):
        _replace_forward(block, torch.compile(block.forward, dynamic=True))


def _replace_forward(module: nn.Module, forward: Callable[..., Any]) -> None:
    # On the instance: a module around the block would change the names of its weights.
    module.forward = forward


def uncompiled(compiles: bool) -> AbstractContextManager[Any]:
    """Context in which compiled blocks run uncompiled."""
    return torch.compiler.set_stance("force_eager") if compiles else nullcontext()
