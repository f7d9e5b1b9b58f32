"""What the laws are made of: sentences that must hold, and inputs to hold them on."""

from typing import Any

import torch
from torch import Generator, Tensor

from mgbench.errors import Unfit
from mgbench.kinds import Parts, TokenSpace
from mgbench.streams import Streams
from mgbench.toys import Euler, Joint, Straight, toy_parts

SPACES = (TokenSpace(6, 3, grid=(2, 3)), TokenSpace(6, 3, codes=5, grid=(2, 3)))


def need(holds: bool | Tensor, sentence: str) -> None:
    """Raise `AssertionError` with the sentence unless it holds."""
    if not bool(holds):
        raise AssertionError(sentence)


def same(first: Any, second: Any, tolerance: float = 0.0) -> bool:
    """Whether two tensors (or None) have one shape and differ nowhere by more than the tolerance."""
    if first is None or second is None:
        return first is second
    return bool((first.shape == second.shape) and ((first.double() - second.double()).abs() <= tolerance).all())


def accepted(component: Any) -> list[tuple[TokenSpace, Parts]]:
    """Those of `SPACES`, and the toys to go with each, that a component can work with."""
    kept = []
    for space in SPACES:
        for solver in (Euler(), Straight()):
            parts = toy_parts(Joint.example(), solver=solver)
            try:
                getattr(component, "check", lambda *_: None)(parts, space)
            except Unfit:
                continue
            kept.append((space, parts))
            break
    need(bool(kept), "must accept tokens of some kind, codes or vectors")
    return kept


def seeded(seed: int = 0) -> Generator:
    """A generator on the CPU."""
    return Generator().manual_seed(seed)


def each(purpose: str, count: int) -> Streams:
    """A stream for each of `count` images or rows."""
    return Streams.root(0, purpose).fold(torch.arange(count))


def tokens_of(space: TokenSpace, batch: int) -> Tensor:
    """Random tokens of a space, [B,N] or [B,N,D]."""
    if space.codes:
        return torch.randint(space.codes, (batch, space.length), generator=seeded())
    return torch.randn(batch, space.length, space.dim, generator=seeded())


def stirred(module: Any) -> Any:
    """The module, every parameter moved a little: many layers start at zero, where nothing depends on anything."""
    generator = seeded(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return module.eval()
