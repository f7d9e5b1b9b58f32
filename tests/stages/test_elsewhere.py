"""On another device than the CPU every tensor of a training and of a sampling is there, and solvers do not wait for it."""

from collections import Counter

import pytest
import torch

from mgbench.registry.loading import load
from mgbench.registry.resolve import assemble
from mgbench.stages.speed import sampling_work, training_work
from mgbench.trials.costs import Assumed
from mgbench.trials.speed import to_measure
from tests.elsewhere import COPIED, ELSEWHERE, READ, There, elsewhere

# A method for each way of training and of drawing that differs in what it asks of the device.
METHODS = ("emigm", "maskgit", "mdm", "lpd", "dit", "var")
STEPS = 2
REGISTRY = load()


def waits_of(method: str, **changes: object) -> tuple[Counter[str], Counter[str]]:
    """What a training step and a sampling wait for, after one of each."""
    recipe = next(found[method] for found in REGISTRY.recipes.values() if method in found)
    small = recipe.change(batch_size=4, sampling_steps=STEPS, precision="float32", **changes)
    with elsewhere() as waits:
        subject = to_measure(method, assemble(REGISTRY, small), Assumed(), ELSEWHERE).subject
        found = list[Counter[str]]()
        for make in (training_work, sampling_work):
            work = make(subject)
            work()
            waits.clear()
            work()
            found.append(waits.copy())
    return found[0], found[1]


@pytest.mark.parametrize("method", METHODS)
def test_tensors_of_a_method_are_all_on_its_device(method: str) -> None:
    trained, drawn = waits_of(method)
    # The places of a batch, drawn on the CPU so that they are the same on every device, and a table of noise.
    assert trained[COPIED] <= 2
    assert trained.total() <= 5
    # The indices of the images and the seed, and for one sampler the order of the step; the images in the end, and a table.
    assert drawn[COPIED] <= 2 + STEPS
    assert 1 <= drawn[READ] <= 2


def test_a_solver_waits_for_nothing() -> None:
    few, many = (waits_of("emigm", solver=f"dpmpp_3s(steps={steps})")[1] for steps in (3, 9))
    assert few == many


def test_what_waits_is_counted_and_what_is_of_two_devices_refused() -> None:
    with elsewhere() as waits:
        there = torch.arange(3.0).to(ELSEWHERE)
        assert isinstance(there, There)
        assert (there * 2 + torch.tensor(1.0)).tolist() == [1, 3, 5]
        assert there[there > 0].cpu().tolist() == [1, 2]
        assert bool(there.any())
        with pytest.raises(RuntimeError, match="two devices"):
            there + torch.arange(3.0)
    assert waits == {COPIED: 1, READ: 1, "tolist": 1, "index": 1, "_local_scalar_dense": 1}
