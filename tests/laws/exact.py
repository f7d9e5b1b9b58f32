"""Laws of sampled images that can be written down: chains of steps over a joint law of a few codes, state by state."""

import itertools
from collections.abc import Iterable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from mgbench.components.processes.masked import Masked
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Request, State
from mgbench.testing.toys import Joint, toy_parts

JOINT = Joint.example()
COUNT = 20_000


@cache
def states(sampler: Any, steps: int, label: int = 0, count: int = COUNT, **others: Any) -> tuple[State, ...]:
    """The states after each step of `count` images of one class, sampled from the joint law itself."""
    parts = toy_parts(JOINT, sampler=sampler, **others)
    model = Masked().build(parts, JOINT.space, JOINT.classes)
    images = Streams.root(5, "images").fold(torch.arange(count))
    request = Request(torch.full((count,), label), steps, images, Streams.root(5, "shared"))
    with torch.no_grad():
        return tuple(Masked().sample(model, parts, JOINT.space, request))


def finished(sampler: Any, steps: int, label: int = 0) -> Tensor:
    """The images in the end."""
    return states(sampler, steps, label)[-1].tokens


def chain(joint: Joint, label: int, steps: Iterable[tuple[float, float]]) -> Tensor:
    """The law [O] of images after steps (reveal, again), from all masked.

    In each step a masked token is revealed with probability `reveal`, a visible one masked with probability `again`, all
    independently; values revealed together are drawn independently of each other, given what was visible before.
    """
    codes, length = joint.probabilities.shape[-1], joint.space.length
    every = torch.tensor(list(itertools.product(range(codes + 1), repeat=length)))  # the code K is "masked"
    mask = every == codes
    chances = joint.conditional(every, mask, torch.full((len(every),), label)).exp()
    law = mask.all(1).double()
    for reveal, again in steps:
        # Of every token [S,N,K+1]: the probability of each code, and of being masked, after the step.
        stays = torch.nn.functional.one_hot(every, codes + 1).double() * (1 - again)
        stays[..., codes] = again
        hidden = torch.cat([reveal * chances, torch.full_like(chances[..., :1], 1 - reveal)], -1)
        moves = torch.where(mask[..., None], hidden, stays)
        into = [moves[:, token, every[:, token]] for token in range(length)]
        law = law @ torch.stack(into).prod(0)
    assert law[mask.any(1)].sum() < 1e-12
    return law[~mask.any(1)]
