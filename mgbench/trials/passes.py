"""Passes of images through an extractor on all ranks of a team."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from mgbench.interfaces import optional
from mgbench.interfaces.components import Extractor
from mgbench.interfaces.data import ExtractorModule
from mgbench.interfaces.images import Images
from mgbench.interfaces.progress import Advance
from mgbench.interfaces.ranks import Team
from mgbench.stages.extract import HERE, Pass, Through, Turn, handed_out, put_through, read_by_each, take_turns
from mgbench.stages.extracted import Extracted
from mgbench.trials.fit import Helper
from mgbench.trials.plan import Row


@dataclass(frozen=True)
class Extract:
    """A pass of `count` images through the extractor of a row, on all ranks of a team.

    Real images of a `split` are read by each rank; others, with an empty split, are handed out by rank 0. `metrics` are the
    places, among those of the row, of the metrics whose states grow; `keeps` and `batch` are those of `Pass`.
    """

    key: str
    split: str
    count: int
    labelled: bool
    metrics: tuple[int, ...]
    keeps: bool
    batch: int

    def run(self, helper: Helper) -> None:
        """Take this rank's turns."""
        assembly = next(row for row in helper.trial.rows if row.key == self.key).assembly
        metrics = [optional.mergeable(assembly.parts.metrics[place]) for place in self.metrics]
        module = _extractor(assembly.parts.extractor, helper.device)
        work = Pass(module, helper.device, tuple(filter(None, metrics)), self.keeps, self.batch)
        real = assembly.reference_data
        images: Any = {"train": real.train, "test": real.test}.get(self.split)
        labels = {"train": real.train_labels, "test": real.test_labels}.get(self.split)
        known = labels if self.labelled else None
        turn = _turn(work, self.split, images, known, helper.team)
        take_turns(work, self.count, turn, helper.team)


# `Any`, because components are hashable, which protocols cannot state.
@cache
def _extractor(extractor: Extractor, device: torch.device) -> ExtractorModule:
    """The module of an extractor on a device, built once per process."""
    module: Any = extractor.build()
    built: ExtractorModule = module.to(device)
    return built


def through_ranks(row: Row, team: Team) -> Through:
    """Feature extraction for a row on all ranks of a team: of its images, and of real images."""
    if team.size == 1:
        return HERE

    def run(work: Pass, images: Images, labels: Tensor | None, split: str, advance: Advance) -> Extracted:
        every = list(row.assembly.parts.metrics)
        places = tuple(every.index(metric) for metric in work.metrics)
        count = len(images)
        task = Extract(row.key, split, count, labels is not None, places, work.keeps, work.batch)
        if len(work.groups(count)) == 1:
            return put_through(work, images, labels, split, advance)
        with team.running(task):
            found = take_turns(work, count, _turn(work, split, images, labels, team), team, advance)
        return found.found(images, labels)

    return Through(run)


def _turn(work: Pass, split: str, images: Images | None, labels: Tensor | None, team: Team) -> Turn:
    if split and images is not None:
        return read_by_each(work, images, labels, team)
    return handed_out(work, images, labels, team)
