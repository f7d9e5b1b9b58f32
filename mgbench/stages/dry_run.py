"""The costs of training and of sampling, counted by running the stages' own code on a model without content."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from mgbench.interfaces.components import Parts, Teacher
from mgbench.interfaces.data import UNLABELLED, TokenSpace
from mgbench.interfaces.optional import evaluations
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Request
from mgbench.recipes.recipe import Recipe
from mgbench.stages.cost import Meter, sampling_costs
from mgbench.stages.hollow import Counting, hollow, hollowed, is_weight

# Trainings of one image whose arithmetic is averaged, because masks differ in size.
DRAWS = 4
# Bytes of a parameter in training: itself, its gradient, two averages of AdamW and the moving average, in float32.
TRAINING_BYTES = 5 * 4
# Costs of solvers with more steps are extrapolated from two shorter ones, because every step costs the same.
FEW, MORE = 4, 8


@dataclass(frozen=True)
class ModelCosts:
    """Parameters, operations of training with one image (forward and backward), and bytes of its activations.

    Activations are those kept for the backward pass, in float32; mixed precision halves most of them.
    """

    parameters: int
    training_flops: float
    activation_bytes: float

    @property
    def training_bytes(self) -> int:
        """Bytes of weights, gradients, both averages of AdamW and the moving average."""
        return TRAINING_BYTES * self.parameters


def model_costs(parts: Parts, space: TokenSpace, classes: int, taught_by: Parts | None = None) -> ModelCosts:
    """The costs of training a model, with the components of its teacher if it has one."""
    model = hollowed(lambda: parts.process.build(parts, space, classes)).train()
    if taught_by is not None:
        teacher = hollowed(lambda: taught_by.process.build(taught_by, space, classes)).eval().requires_grad_(False)
        parts = parts.change(teacher=Teacher(teacher, taught_by))
    found = [_one_image(model, parts, space, classes, seed) for seed in range(DRAWS)]
    flops, held = (sum(column) / DRAWS for column in zip(*found, strict=True))
    return ModelCosts(sum(part.numel() for part in model.parameters()), flops, held)


def image_costs(parts: Parts, space: TokenSpace, classes: int, recipe: Recipe) -> Mapping[str, float]:
    """The costs of drawing an image, by the names of `mgbench.stages.cost.sampling_costs` but without seconds."""
    solver: Any = getattr(parts, "solver", None)
    steps = getattr(solver, "steps", 0)
    # Solvers that are made of others have steps that are no option of theirs.
    counts = is_dataclass(solver) and "steps" in {option.name for option in fields(solver)}
    if not counts or steps <= 2 * MORE or evaluations(solver) != steps:
        return _image_costs(parts, space, classes, recipe)
    few, more = (
        _image_costs(parts.change(solver=replace(solver, steps=count)), space, classes, recipe) for count in (FEW, MORE)
    )
    return {name: few[name] + (more[name] - few[name]) * (steps - FEW) / (MORE - FEW) for name in few}


def _image_costs(parts: Parts, space: TokenSpace, classes: int, recipe: Recipe) -> Mapping[str, float]:
    model, counting, meter = hollowed(lambda: parts.process.build(parts, space, classes)).eval(), Counting(), Meter()
    # The parts of the model, which see the same shapes in every step.
    repeated = [part for part in model.modules() if part is not model and any(True for _ in part.parameters())]
    streams = Streams.root(recipe.seed, "images").fold(torch.arange(1))
    request = Request(_labels(classes), recipe.sampling_steps, streams, Streams.root(recipe.seed, "shared"))
    with torch.no_grad(), counting.remembering(repeated), counting, meter.watch(model):
        for _ in parts.process.sample(model, parts, space, request):
            meter.steps += 1
    meter.flops = float(counting.get_total_flops())
    costs = sampling_costs(meter, space.length, 1, [(1, 0.0)])
    return {name: value for name, value in costs.items() if name not in ("seconds_per_image", "sampling_batch")}


def _one_image(model: nn.Module, parts: Parts, space: TokenSpace, classes: int, seed: int) -> tuple[float, float]:
    """Operations and bytes of activations of one image."""
    generator, held = Generator().manual_seed(seed), 0

    def hold(saved: Tensor) -> Tensor:
        nonlocal held
        held += 0 if is_weight(saved) else saved.numel() * saved.element_size()
        return saved

    learned = [part for part in model.parameters() if part.requires_grad]
    with torch.random.fork_rng([]), Counting() as counting:
        torch.manual_seed(seed)
        with saved_tensors_hooks(hold, lambda saved: saved):
            loss = parts.process.loss(model, parts, _tokens(space), _labels(classes), generator)
        torch.autograd.grad(loss, learned, allow_unused=True)
    return float(counting.get_total_flops()), float(held)


def _labels(classes: int) -> Tensor:
    return torch.full((1,), 0 if classes else UNLABELLED)


def _tokens(space: TokenSpace) -> Tensor:
    if space.codes:
        return torch.randint(space.codes, (1, space.length))
    return hollow((1, space.length, space.dim))
