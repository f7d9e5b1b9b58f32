"""Draw the images of a row on all ranks of a team, with their costs and the trajectory of the first images."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mgbench.interfaces.engine import Note
from mgbench.interfaces.progress import Progress
from mgbench.interfaces.ranks import Team
from mgbench.results.environment import device_name, together
from mgbench.stages.cost import Meter, forget_peak, peak_memory, sampling_costs
from mgbench.stages.film import Film
from mgbench.stages.memory import with_less
from mgbench.stages.sample import Batch, Model, batches_of, sample_images
from mgbench.trials.fit import Helper
from mgbench.trials.plan import Row


@dataclass(frozen=True)
class Drawn:
    """Images uint8 [M,C,H,W'] of a row, the costs of one image, the devices used, and the film of the first images.

    `warnings` name operations that the costs leave out.
    """

    images: Tensor
    costs: Mapping[str, float]
    devices: Mapping[str, Any]
    film: Film
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Draw:
    """Sampling of a row on all ranks of a team, at most `batch` images at once on each."""

    key: str
    batch: int

    def run(self, helper: Helper) -> None:
        """Draw this rank's batches, until the end or until all stop."""
        row = next(row for row in helper.trial.rows if row.key == self.key)
        model = replace(helper.model(row.assembly.recipe), parts=row.assembly.parts)
        _take_turns(row, model, helper.progress, self.batch, helper.team)


@dataclass(frozen=True)
class _Spent:
    """The meter of a rank, its peak memory in bytes, and the name of its device."""

    meter: Meter
    peak: int
    device: str


def draw(row: Row, model: Model, progress: Progress, batch: int, team: Team) -> Drawn:
    """All images of a row; when memory runs out, the batch is halved.

    Raises:
        Interrupted: if the user asks to stop.
        RankFailed: if another rank of the team failed.
    """
    return with_less(
        min(batch, row.assembly.samples),
        lambda size: _draw(row, model, progress, size, team),
        lambda size: progress.emit(Note(f"{row.method}: out of memory; drawing {size} images at once")),
    )


def _draw(row: Row, model: Model, progress: Progress, batch: int, team: Team) -> Drawn:
    # Interrupting is safe: images that are drawn halfway leave nothing behind.
    with team.running(Draw(row.key, batch)), progress.of(team).anywhere():
        batches, spent = _take_turns(row, model, progress, batch, team)
    meter = spent[0].meter
    for other in spent[1:]:
        meter.add(other.meter)
    images = torch.cat([part.images for part in batches])
    timed = [(len(part.images), part.seconds) for part in batches if part.warm or len(batches) == 1]
    timed = timed or [(len(part.images), part.seconds) for part in batches[1:]]
    costs = sampling_costs(meter, model.space.length, len(images), timed)
    peak, devices = max(rank.peak for rank in spent), together([rank.device for rank in spent])
    film = Film.join([part.film for part in batches if part.film])
    return Drawn(images, {**costs, "peak_memory_bytes": float(peak)}, devices, film, _uncounted(meter))


def _uncounted(meter: Meter) -> tuple[str, ...]:
    left_out = ", ".join(meter.uncounted)
    return (f"FLOPs per image leave out {left_out}, whose operations cannot be counted",) if left_out else ()


def _take_turns(row: Row, model: Model, progress: Progress, batch: int, team: Team) -> tuple[list[Batch], list[_Spent]]:
    """Draw batches, one on each rank in every turn; rank 0 gathers them all in order.

    All ranks stop together, after a turn or, on rank 0, after a step.
    """
    recipe, total, meter = row.assembly.recipe, row.assembly.samples, Meter()
    steps = row.assembly.spelled["sampling_steps"]
    drawn: list[Batch] = []
    step, turned = progress.seldom("sample", row.key, steps), progress.of(team)

    def stepped() -> None:
        if team.is_first:
            step(min(meter.steps * team.size // (steps or 1), total), total)

    forget_peak(model.device)
    turned("sample", 0, total, row.key, steps)
    own = sample_images(model, recipe, total, batch, meter, team, stepped)
    for _ in batches_of(total, batch)[:: team.size]:
        drawn += [part for part in team.gather(next(own, None)) if part is not None]
        turned("sample", sum(len(part.images) for part in drawn), total, row.key, steps)
    return drawn, team.gather(_Spent(meter, peak_memory(model.device), device_name(model.device)))
