"""Building blocks of laws: assertions with a sentence, and inputs."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

import numpy
import torch
from torch import Generator, Tensor

from mgbench.errors import Unfit
from mgbench.interfaces.components import Parts, Process
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.optional import check
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.torch_module import Module
from mgbench.testing.noisy_toys import Euler, Straight
from mgbench.testing.toys import Joint, Scales, toy_parts

M = TypeVar("M", bound=Module)
SPACES = (TokenSpace(6, 3, grid=(2, 3)), TokenSpace(6, 3, codes=5, grid=(2, 3)))
# Side lengths of square grids, and a token space with these grids.
SIDES = (1, 2, 3)
NESTED = TokenSpace(14, 3, codes=5)


def need(holds: bool | Tensor, sentence: str) -> None:
    """Check a condition, a bool or a tensor bool of any shape that must be True everywhere.

    Raises:
        AssertionError: with the sentence, if it does not hold.
    """
    if not bool(holds):
        raise AssertionError(sentence)


def same(first: Tensor | None, second: Tensor | None, tolerance: float = 0.0) -> bool:
    """Whether two tensors of any shape (or None) have the same shape and differ by at most the tolerance."""
    if first is None or second is None:
        return first is second
    return bool((first.shape == second.shape) and ((first.double() - second.double()).abs() <= tolerance).all())


def accepted(component: object) -> list[tuple[TokenSpace, Parts]]:
    """The token spaces in `SPACES`, with toys for each, that a component accepts."""
    kept = []
    for space in SPACES:
        for solver in (Euler(), Straight()):
            parts = toy_parts(Joint.example(), solver=solver)
            if fits(component, space, parts):
                kept.append((space, parts))
                break
    need(bool(kept), "must accept tokens of some kind, codes or vectors")
    return kept


def world_of(process: Process[Any]) -> tuple[TokenSpace, Parts]:
    """The first token space, with toys, that a process accepts: codes of a joint distribution, `SPACES`, or multi-scale
    codes.
    """
    joint = Joint.example()
    in_scales = Scales(SIDES)
    worlds = [(joint.space, toy_parts(joint)), (NESTED, toy_parts(joint, tokenizer=in_scales))]
    worlds += [(space, toy_parts(joint, solver=solver)) for space in SPACES for solver in (Euler(), Straight())]
    fitting = [world for world in worlds if fits(process, *world)]
    need(bool(fitting), "must accept tokens of some kind: codes, codes in scales, or vectors")
    return fitting[0]


def fits(component: object, space: TokenSpace, parts: Parts) -> bool:
    """Whether the `check` of a component accepts these tokens and components."""
    try:
        check(component, parts, space)
    except Unfit:
        return False
    return True


def seeded(seed: int = 0) -> Generator:
    """A generator on the CPU."""
    return Generator().manual_seed(seed)


def each(purpose: str, count: int) -> Streams:
    """One random stream for each of `count` images or rows."""
    return Streams.root(0, purpose).fold(torch.arange(count))


def tokens_of(space: TokenSpace, batch: int) -> Tensor:
    """Random tokens of a space, [B,N] or [B,N,D]."""
    if space.codes:
        return torch.randint(space.codes, (batch, space.length), generator=seeded())
    return torch.randn(batch, space.length, space.dim, generator=seeded())


def stirred(module: M) -> M:
    """Perturb every parameter of a module, because many layers are initialised to zero."""
    generator = seeded(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return module.eval()


@contextmanager
def unchanged(*given: Tensor) -> Iterator[None]:
    """Check that the tensors, of any shape, are unchanged after the context.

    Raises:
        AssertionError: if one of them has changed.
    """
    before = [tensor.detach().clone() for tensor in given]
    yield
    kept = all(map(same, given, before))
    need(kept, "a component must leave the tensors that it is given as they are")


def leaves_random_state(law: Callable[..., None]) -> Callable[..., None]:
    """Decorator of a law, which also checks that the global random states of torch, numpy and Python are unchanged."""

    @wraps(law)
    def held(*given: object, **options: object) -> None:
        before = _random_state()
        law(*given, **options)
        touched = [name for name, state in _random_state().items() if state != before[name]]
        need(not touched, f"a component must leave the global random state of {', '.join(touched)} alone")

    return held


def _random_state() -> dict[str, Any]:
    return {
        "torch": torch.get_rng_state().tolist(),
        "numpy": str(numpy.random.get_state()),
        "Python": random.getstate(),
    }


def on_its_device(call: Callable[[], Tensor]) -> None:
    """Check that a component computes on the device of its inputs; `call` returns a tensor of any shape, computed on
    the device "meta", which has no values.

    Raises:
        AssertionError: if a tensor on another device is used or returned.
    """
    sentence = "a component must compute on the device of what it is given"
    try:
        found = call()
    except RuntimeError as error:
        # Other errors come from the device without values.
        need("expected" not in str(error).lower() or "device" not in str(error), sentence)
    else:
        need(found.device.type == "meta", sentence)
