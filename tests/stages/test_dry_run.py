"""Costs that are counted without arithmetic are those that a run with arithmetic has."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import BaseTorchFunctionMode

from mgbench.interfaces.components import Teacher
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Request
from mgbench.registry.resolve import Assembly, assemble
from mgbench.stages.cost import Meter
from mgbench.stages.dry_run import DRAWS, image_costs, model_costs
from mgbench.stages.flops import FlopCounter
from mgbench.stages.hollow import Counting, hollow, hollowed, is_hollow, is_weight
from tests.laws.registered import registry

# Positions first, values first, all tokens at once, and coarse to fine; codes and vectors; and a long solver, which is not
# walked through; with derivatives forwards; and with a teacher.
METHODS = ["emigm", "maskgit", "mar", "dit", "var", "disa", "mean_flow", "dimo"]


def assembled(name: str) -> Assembly:
    recipes = {method: recipe for offered in registry().recipes.values() for method, recipe in offered.items()}
    found = assemble(registry(), recipes[name].change(sampling_steps=4))
    assert found.unfit == ""
    return found


def model_and_space(found: Assembly) -> tuple[Any, TokenSpace]:
    torch.manual_seed(0)
    space = found.parts.tokenizer.build(found.data.shape).space
    return found.parts.process.build(found.parts, space, found.classes), space


@pytest.mark.parametrize("name", METHODS)
def test_an_image_costs_what_it_costs_to_draw_it(name: str) -> None:
    found = assembled(name)
    model, space = model_and_space(found)
    seen, parts, seed = Meter(), found.parts, found.recipe.seed
    images, shared = Streams.root(seed, "images").fold(torch.arange(1)), Streams.root(seed, "shared")
    with torch.no_grad(), FlopCounter() as counter, seen.watch(model.eval()):
        for _ in parts.process.sample(model, parts, space, Request(torch.zeros(1).long(), 4, images, shared)):
            seen.steps += 1
    costs = image_costs(parts, space, found.classes, found.recipe)
    assert costs["steps_taken"] == seen.steps
    assert costs["nfe"] == seen.rows["network"]
    assert costs["token_forwards"] == pytest.approx(seen.tokens)
    assert costs["head_evaluations"] == pytest.approx(seen.rows["head"] / space.length)
    assert costs["flops_per_image"] == pytest.approx(counter.get_total_flops())  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("name", METHODS)
def test_a_step_costs_what_it_costs_to_take_it(name: str) -> None:
    found = assembled(name)
    model, space = model_and_space(found)
    parts, taught_by, total = found.parts, found.teacher.parts if found.teacher else None, 0
    if taught_by is not None:
        teacher = taught_by.process.build(taught_by, space, found.classes).eval().requires_grad_(False)
        parts = parts.change(teacher=Teacher(teacher, taught_by))
    for seed in range(DRAWS):
        generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)
        tokens = (
            torch.randint(space.codes, (1, space.length)) if space.codes else torch.zeros(1, space.length, space.dim)
        )
        # The mode has PyTorch's own attention taken, as in the forecast, in place of that for a CPU.
        with BaseTorchFunctionMode(), FlopCounter() as counter:
            parts.process.loss(model.train(), parts, tokens, torch.zeros(1).long(), generator).backward()
        total += counter.get_total_flops()  # type: ignore[no-untyped-call]
    costs = model_costs(found.parts, space, found.classes, taught_by)
    assert costs.parameters == sum(part.numel() for part in model.parameters())
    # With a mask the real one takes attention apart here, and does not compute its scores twice.
    assert costs.training_flops == pytest.approx(total / DRAWS, rel=0.02 if name == "var" else 1e-6)
    assert costs.training_bytes == 20 * costs.parameters


def test_activations_are_what_is_kept_for_the_backward_pass() -> None:
    found = assembled("emigm")
    model, space = model_and_space(found)
    kept = 0

    def keep(saved: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        inside = any(saved.untyped_storage().data_ptr() == part.untyped_storage().data_ptr() for part in weights)
        kept += 0 if inside else saved.numel() * saved.element_size()
        return saved

    weights = list(model.parameters())
    for seed in range(DRAWS):
        generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)
        tokens = torch.zeros(1, space.length, space.dim)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
            found.parts.process.loss(model.train(), found.parts, tokens, torch.zeros(1).long(), generator)
    assert model_costs(found.parts, space, found.classes).activation_bytes == pytest.approx(kept / DRAWS, rel=0.02)


def test_what_is_hollow_stays_so_and_the_rest_is_real() -> None:
    model = hollowed(lambda: nn.Sequential(nn.Linear(3, 100), nn.GELU(), nn.LayerNorm(100), nn.Linear(100, 2)))
    assert all(is_weight(part) for part in model.parameters())
    assert sum(part.untyped_storage().nbytes() for part in model.parameters()) == 4 * 6
    with torch.no_grad(), Counting() as counting:
        out = model(torch.randn(5, 3))
        mask = torch.rand(5) < 2
        place = out.argmax(-1)
        real = torch.ones(5, 2)
        real[mask] = out[mask]
        out += 1
    assert counting.get_total_flops() == 2 * 5 * (3 * 100 + 100 * 2)
    assert is_hollow(out)
    assert not is_weight(out)
    assert not is_hollow(mask)
    assert not is_hollow(place)
    assert mask.all()
    assert not real.any()
    assert not hollow((2, 2)).any()
