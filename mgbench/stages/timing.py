"""Seconds of work that takes turns, ratios of medians, and the rate of matrix products of a device."""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np
import torch
from torch import nn

from mgbench.interfaces.components import Parts, Sampler
from mgbench.stages.cost import clock

Work = Callable[[], object]
# The side of the squares whose products are timed, and for how many seconds.
SIDE, SECONDS = 1024, 0.3
# Draws of a bootstrap interval, and its level.
DRAWS, LEVEL = 2000, 0.95


@dataclass(frozen=True)
class Ratio:
    """The ratio of two medians with its bootstrap interval of 95 %."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


def in_turns(works: Sequence[Work], rounds: int, device: torch.device) -> list[list[float]]:
    """The seconds of each work in each round, after one round that does not count.

    Works change places from round to round, because a machine may slow down as it warms.
    """
    for work in works:
        work()
    seconds: list[list[float]] = [[] for _ in works]
    for turn in range(rounds):
        places = range(len(works))
        for place in places if turn % 2 == 0 else reversed(places):
            started = clock(device)
            works[place]()
            seconds[place].append(clock(device) - started)
    return seconds


def ratio_of_medians(ones: Sequence[float], others: Sequence[float]) -> Ratio:
    """The median of `ones` over that of `others`, seconds of the same rounds; rounds are drawn again for the interval.

    Raises:
        ValueError: if there are not as many of one as of the other.
    """
    if len(ones) != len(others):
        raise ValueError("both sides need a time of every round")
    drawn = np.random.default_rng(0).integers(len(ones), size=(DRAWS, len(ones)))
    found = np.median(np.asarray(ones)[drawn], 1) / np.median(np.asarray(others)[drawn], 1)
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Ratio(statistics.median(ones) / statistics.median(others), float(low), float(high))


def matrix_rate(device: torch.device, dtype: torch.dtype = torch.float32, seconds: float = SECONDS) -> float:
    """Operations a second of the fastest of some products of square matrices: about as many as a network can reach."""
    first = torch.ones(SIDE, SIDE, device=device, dtype=dtype)
    torch.mm(first, first)
    rates, began = list[float](), time.perf_counter()
    while not rates or time.perf_counter() - began < seconds:
        started = clock(device)
        torch.mm(first, first)
        rates.append(2 * SIDE**3 / (clock(device) - started))
    return max(rates)


class Stopwatch:
    """Seconds by name of the parts of a work; a part that runs inside another counts for itself only."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = defaultdict(float)
        # Seconds of parts inside each part that is open.
        self._inside = [0.0]

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Context whose seconds are added under a name."""
        self._inside.append(0.0)
        started = clock(self.device)
        try:
            yield
        finally:
            spent = clock(self.device) - started
            self.seconds[name] += spent - self._inside.pop()
            self._inside[-1] += spent

    def timed(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, timed under a name."""

        @wraps(work)
        def call(*given: object, **named: object) -> object:
            with self.part(name):
                return work(*given, **named)

        return call

    def watched(self, model: nn.Module, parts: Parts) -> Parts:
        """Time a model from now on: each child under its name, lists of blocks in its `network` under theirs, and in the
        returned components the choice of tokens, as `choosing`.
        """
        children = dict(model.named_children())
        for name, child in children.items():
            self._watch(name, child, ("forward", "sample"))
        for name, blocks in children["network"].named_children() if "network" in children else ():
            for block in blocks if isinstance(blocks, nn.ModuleList) else ():
                self._watch(name, block, ("forward",))
        sampler = getattr(parts, "sampler", None)
        return parts if sampler is None else parts.change(sampler=_Timed(sampler, self))

    def _watch(self, name: str, module: nn.Module, methods: tuple[str, ...]) -> None:
        for method in methods:
            if hasattr(module, method):
                setattr(module, method, self.timed(name, getattr(module, method)))


class _Timed:
    """A sampler whose choices are timed."""

    def __init__(self, sampler: Sampler, watch: Stopwatch) -> None:
        self._sampler, self.choose = sampler, watch.timed("choosing", sampler.choose)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sampler, name)
