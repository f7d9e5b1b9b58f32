"""Feature extraction: images pass an extractor in groups that the ranks of a team share; features or metric states are kept."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from mgbench.errors import Unfit
from mgbench.interfaces import optional
from mgbench.interfaces.components import MergeableMetric, Metric, MetricState
from mgbench.interfaces.data import ExtractorModule, Features
from mgbench.interfaces.images import Images, LazyImages, batches, in_colour, in_memory, taken
from mgbench.interfaces.progress import UNREPORTED, Advance
from mgbench.interfaces.ranks import ALONE, Team
from mgbench.stages.extracted import BATCH, Extracted

# With 2,048 images a group, the state of a Fréchet distance of Inception's features is a mean and a scatter matrix.
_BATCHES_OF_A_GROUP = 8
_NUMBERS = ("features", "logits", "spatial")


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Context with full float32 products (no TF32), so that features do not depend on the type of GPU."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


# The state of a metric during a pass: None before the first image, or the reason why the metric has none.
_Growing = MetricState | Unfit | None


@dataclass(frozen=True)
class Group:
    """A group of images after extraction: the kept numbers by name, float64 [B,…], and the states of metrics."""

    numbers: Mapping[str, Tensor]
    opening: Tensor
    states: tuple[_Growing, ...]


@dataclass(frozen=True)
class Pass:
    """A pass of images through an extractor that updates states of metrics; with `keeps`, all features are kept as well.

    Images pass in groups of eight batches. Each group has states of its own, merged in the order of the groups, so that
    no number depends on how many ranks take turns at the groups.
    """

    extractor: ExtractorModule
    device: torch.device
    metrics: tuple[MergeableMetric, ...] = ()
    keeps: bool = True
    batch: int = BATCH

    def groups(self, count: int) -> list[slice]:
        """The rows of every group of `count` images."""
        size = _BATCHES_OF_A_GROUP * self.batch
        return [slice(first, min(first + size, count)) for first in range(0, count, size)]

    @torch.no_grad()
    def group(self, pixels: Iterable[Tensor], labels: Tensor | None, told: Callable[[int], None]) -> Group:
        """Extract one group, given as batches uint8 [B,C,H,W'] with labels int64 [M]; `told` is called with the number
        of batches done.
        """
        states: list[_Growing] = [None] * len(self.metrics)
        kept, opening, count = list[Features](), list[Tensor](), 0
        for done, shown in enumerate(pixels, 1):
            seen = self._seen(shown, None if labels is None else labels[count : count + len(shown)])
            states = [_grown(metric, state, seen) for metric, state in zip(self.metrics, states, strict=True)]
            kept += [replace(seen, images=None, extractor=None)] * self.keeps
            opening += [seen.features] * (count < BATCH)
            count += len(shown)
            told(done)
        return Group(_joined(kept), torch.cat(opening)[:BATCH], tuple(states))

    def _seen(self, pixels: Tensor, labels: Tensor | None) -> Features:
        shown = in_memory(in_colour(pixels))
        with exact_arithmetic():
            said = self.extractor(shown.to(self.device))
        numbers: dict[str, Any] = {name: _kept(getattr(said, name)) for name in _NUMBERS}
        return Features(**numbers, labels=labels, images=shown, extractor=self.extractor)


def _kept(numbers: Tensor | None) -> Tensor | None:
    return None if numbers is None else numbers.cpu().double()


def _joined(parts: Sequence[Features]) -> dict[str, Tensor]:
    every = {name: [getattr(part, name) for part in parts] for name in _NUMBERS}
    return {name: torch.cat(found) for name, found in every.items() if found and found[0] is not None}


def _grown(metric: MergeableMetric, state: _Growing, seen: Features) -> _Growing:
    if isinstance(state, Unfit):
        return state
    try:
        return metric.update(state, seen)
    except Unfit as reason:
        return reason


def _merged(metric: MergeableMetric, one: _Growing, other: _Growing) -> _Growing:
    if one is None or isinstance(other, Unfit):
        return one if isinstance(one, Unfit) else other
    if other is None or isinstance(one, Unfit):
        return one
    try:
        return metric.merge(one, other)
    except Unfit as reason:
        return reason


@dataclass
class _Collected:
    """The groups of a pass so far, in order; their states are merged as they come, as each may take tens of megabytes."""

    work: Pass
    states: list[_Growing]
    numbers: dict[str, list[Tensor]] = field(default_factory=dict)
    opening: list[Tensor] = field(default_factory=list)

    def add(self, group: Group) -> None:
        pairs = zip(self.work.metrics, self.states, group.states, strict=True)
        self.states = [_merged(metric, state, new) for metric, state, new in pairs]
        self.opening += [group.opening] * (sum(map(len, self.opening)) < BATCH)
        for name, numbers in group.numbers.items():
            self.numbers.setdefault(name, []).append(numbers)

    def found(self, images: Images, labels: Tensor | None) -> Extracted:
        numbers: dict[str, Any] = {name: torch.cat(parts) for name, parts in self.numbers.items()}
        shown: dict[str, Any] = {"labels": labels, "images": in_colour(images), "extractor": self.work.extractor}
        whole = Features(**numbers, **shown) if self.work.keeps else None
        seen = Extracted(len(images), whole, torch.cat(self.opening)[:BATCH])
        for metric, state in zip(self.work.metrics, self.states, strict=True):
            seen.keep(metric, Unfit("there are no images") if state is None else state)
        return seen


def extract(
    extractor: ExtractorModule,
    images: Images,
    labels: Tensor | None,
    device: torch.device,
    batch: int = BATCH,
    advance: Advance = UNREPORTED,
) -> Features:
    """Features, logits and spatial features float64 on the CPU of images uint8 [M,C,H,W'] with labels int64 [M].

    Grey images are repeated in three channels; `advance` is called after every batch.
    """
    return put_through(Pass(extractor, device, batch=batch), images, labels, advance=advance).features


def pass_for(extractor: ExtractorModule, device: torch.device, metrics: Sequence[Metric], batch: int = BATCH) -> Pass:
    """The pass that metrics need: all features are kept only if a metric needs them at once."""
    growing = tuple(found for metric in metrics if (found := optional.mergeable(metric)) is not None)
    return Pass(extractor, device, growing, len(growing) < len(metrics), batch)


def put_through(
    work: Pass, images: Images, labels: Tensor | None, split: str = "", advance: Advance = UNREPORTED
) -> Extracted:
    """Put images uint8 [M,C,H,W'] with labels int64 [M] through an extractor in this process; `advance` is called after
    every batch.
    """
    found = take_turns(work, len(images), read_by_each(work, images, labels, ALONE), ALONE, advance)
    return found.found(images, labels)


@dataclass(frozen=True)
class Through:
    """The way in which images are put through an extractor: in this process, or on all ranks of a team.

    All instances compare equal, so that caches ignore them. `run` is called as `put_through`, with the `split` of real
    images, or an empty one for images that this rank alone has.
    """

    run: Callable[[Pass, Images, Tensor | None, str, Advance], Extracted] = field(default=put_through, compare=False)

    def __call__(
        self, work: Pass, images: Images, labels: Tensor | None, split: str = "", advance: Advance = UNREPORTED
    ) -> Extracted:
        """Put images through an extractor; arguments as `put_through`."""
        return self.run(work, images, labels, split, advance)


HERE = Through()
# From the rows of all groups of a turn to the batches and labels of this rank's group; None if it has no group.
Turn = Callable[[Sequence[slice]], tuple[Iterator[Tensor], Tensor | None] | None]


def take_turns(work: Pass, count: int, turn: Turn, team: Team = ALONE, advance: Advance = UNREPORTED) -> _Collected:
    """Extract `count` images on all ranks of a team, one group per rank and turn; rank 0 collects the groups in order.

    Every rank calls this; `advance` is called after every batch of rank 0.
    """
    found, groups, total = _Collected(work, [None] * len(work.metrics)), work.groups(count), -(-count // work.batch)
    for first in range(0, len(groups), team.size):
        now = groups[first : first + team.size]
        before, after = now[0].start // work.batch, -(-now[-1].stop // work.batch)

        def told(done: int, before: int = before, after: int = after, at_once: int = len(now)) -> None:
            if team.is_first:
                advance(min(before + done * at_once, after), total)

        own = turn(now)
        for group in team.gather(work.group(*own, told) if own else None):
            if group is not None:
                found.add(group)
        # The others wait here, and so learn when rank 0 gave up.
        team.broadcast(None)
    return found


def read_by_each(work: Pass, images: Images, labels: Tensor | None, team: Team) -> Turn:
    """Turns with images uint8 [M,C,H,W'] and labels int64 [M] that every rank reads by itself, ahead if they do not fit
    into memory.
    """
    rows = torch.arange(len(images))
    own = torch.cat([rows[:0], *(rows[group] for group in work.groups(len(images))[team.rank :: team.size])])
    stream = batches(taken(images, own), work.batch) if isinstance(images, LazyImages) else None

    def turn(now: Sequence[slice]) -> tuple[Iterator[Tensor], Tensor | None] | None:
        if team.rank >= len(now):
            return None
        mine = now[team.rank]
        count = -(-(mine.stop - mine.start) // work.batch)
        pixels = batches(images[mine], work.batch) if stream is None else islice(stream, count)
        return pixels, None if labels is None else labels[mine]

    return turn


def handed_out(work: Pass, images: Images | None, labels: Tensor | None, team: Team) -> Turn:
    """Turns with images uint8 [M,C,H,W'] and labels int64 [M] that rank 0 has and sends to the other ranks, where both are
    None.
    """

    def turn(now: Sequence[slice]) -> tuple[Iterator[Tensor], Tensor | None] | None:
        shares: list[Any] = [None] * team.size
        if images is not None:
            # Copies, because a part of a tensor would be sent with the whole of it.
            shares[: len(now)] = [(images[rows].clone(), _copied(labels, rows)) for rows in now]
        mine = team.scatter(shares)
        return None if mine is None else (iter(torch.split(mine[0], work.batch)), mine[1])

    return turn


def _copied(labels: Tensor | None, rows: slice) -> Tensor | None:
    return None if labels is None else labels[rows].clone()
