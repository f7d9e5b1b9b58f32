"""One trial: what its rows share, then every row made, judged and recorded; what goes wrong becomes rows too."""

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from mgbench.errors import Diverged, Unwritable
from mgbench.interfaces.engine import Note, RowEnded
from mgbench.interfaces.progress import STOPPED_BY_USER, Interrupted, Progress
from mgbench.interfaces.ranks import ALONE, RankFailed, Team
from mgbench.results.environment import device_name, together
from mgbench.results.record import About, Status, ending
from mgbench.results.store import Store, Writer
from mgbench.stages.cost import Meter, forget_peak, peak_memory, sampling_costs, training_costs
from mgbench.stages.evaluate import extract
from mgbench.stages.memory import ran_out, with_less
from mgbench.stages.sample import Batch, Model, asked_labels, batches_of, sample_images
from mgbench.stages.train import TrainStep
from mgbench.trials.diagnostics import MATCHED, trace_files
from mgbench.trials.fit import Helper, NoTokenizer, fitted_model, fitted_tokenizer
from mgbench.trials.plan import Row, Trial
from mgbench.trials.reconstruction import record_reconstruction
from mgbench.trials.score import IMAGES, SHOWN, images_writer, judged, now, origin, reference_for, save_real

T = TypeVar("T")


def run_trial(
    store: Store, trial: Trial, device: torch.device, progress: Progress, batch: int = 250, team: Team = ALONE
) -> None:
    """Compute and record every row of a trial, with the help of a team; a row that fails leaves the others alone.

    Raises:
        Interrupted: if the user asked to stop, after the rows that are left were recorded as interrupted.
    """
    waiting = [row for row in trial.rows if not _made_meanwhile(store, row, progress)]
    if not waiting:
        return
    prepare, record = _WORK[trial.about]
    try:
        fit = partial(prepare, store, waiting[0].assembly, device, progress, team)
        fitted = _attempt(store, waiting, progress, fit)
        for note in store.notes:
            progress.emit(Note(note))
        while waiting and fitted:
            make = partial(record, store, waiting[0], fitted, device, progress, batch, team)
            _attempt(store, waiting[:1], progress, make)
            waiting.pop(0)
    except Interrupted:
        record_all(store, waiting, "interrupted", STOPPED_BY_USER)
        raise


def _made_meanwhile(store: Store, row: Row, progress: Progress) -> bool:
    """Whether another run has recorded a row since this one was planned."""
    found = store.record(row.key)
    if found is None or found.status != "done":
        return False
    if row.about == "tokenizer" and not store.complete(store.layout.tokenizer(row.trial)):
        return False
    progress.emit(RowEnded(row.key, "done"))
    return True


def _attempt(store: Store, rows: list[Row], progress: Progress, work: Callable[[], T]) -> T | None:
    """Do something on which rows depend; if it fails, that is what is recorded of them, and None is returned."""
    status: Status = "failed"
    tail = ""
    try:
        return work()
    except Interrupted:
        raise
    except Diverged as error:
        status, reason = "diverged", str(error)
    except NoTokenizer as error:
        reason = str(error)
    except Unwritable as error:
        # No fault of the recipe: the same command tries again.
        status, reason = "interrupted", str(error)
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        tail = ending("".join(traceback.format_exception(error)))
        status = "oom" if ran_out(error) else "failed"
        reason = f"{_said(error)} (log: {store.layout.log(rows[0].trial)})"
    record_all(store, rows, status, reason, tail)
    for row in rows:
        progress.emit(RowEnded(row.key, status, reason))
    return None


def _said(error: BaseException) -> str:
    if isinstance(error, RankFailed):
        return str(error)
    return f"{type(error).__name__}: {str(error).strip() or 'no message'}"


def record_all(store: Store, rows: list[Row], status: Status, reason: str, tail: str = "") -> None:
    """Record rows that came to nothing, and why."""
    for row in rows:
        store.save_record(row.record(status, reason, tail=tail))


def _record_images(
    store: Store,
    row: Row,
    fitted: tuple[Model, TrainStep],
    device: torch.device,
    progress: Progress,
    batch: int,
    team: Team,
) -> None:
    assembly, started = row.assembly, now()
    # The rows of a trial share the trained weights, but each samples with its own parts.
    model = replace(fitted[0], parts=assembly.parts)
    images, sampling, devices = with_less(
        min(batch, assembly.samples),
        lambda size: _draw(row, model, progress, size, team),
        lambda size: progress.emit(Note(f"{row.method}: out of memory; drawing {size} images at once")),
    )
    progress("judge", 0, 1, row.key)
    labels = asked_labels(assembly.recipe, model.classes, torch.arange(len(images)))
    found = judged(store, row, images, labels if model.classes else None, device)
    found["scores"] |= model.bound.scores
    costs = {**sampling, **_costs(assembly.recipe.batch_size, model, fitted[1]), **model.bound.costs}
    save_real(store, assembly.data)
    record = row.record("done", costs=costs, origin={**origin(row, device, started), **devices}, **found)
    shown = {IMAGES: images_writer(images[:SHOWN], labels[:SHOWN])}
    store.save_record(record, {**shown, **traces(store, row, model, images)})
    progress.emit(RowEnded(row.key, "done"))


@dataclass(frozen=True)
class Draw:
    """A rank's share of the images of a row, so many at once."""

    key: str
    batch: int

    def help(self, helper: Helper) -> None:
        """Draw beside rank 0, until the end or until all stop."""
        row = next(row for row in helper.trial.rows if row.key == self.key)
        model = replace(helper.model, parts=row.assembly.parts)
        _take_turns(row, model, helper.progress, self.batch, helper.team)


@dataclass(frozen=True)
class _Spent:
    """What went through the model of a rank, the most memory that it held, and what its device is called."""

    meter: Meter
    peak: int
    device: str


def _draw(
    row: Row, model: Model, progress: Progress, batch: int, team: Team
) -> tuple[Tensor, Mapping[str, float], Mapping[str, Any]]:
    """The images of a row, what they cost, and on which devices."""
    with team.on(Draw(row.key, batch)):
        batches, spent = _take_turns(row, model, progress.of(team), batch, team)
    meter = spent[0].meter
    for other in spent[1:]:
        meter.add(other.meter)
    sizes, seconds = [len(part.images) for part in batches], [part.seconds for part in batches]
    costs = sampling_costs(meter, model.space.length, sizes, seconds)
    peak, devices = max(rank.peak for rank in spent), together([rank.device for rank in spent])
    return torch.cat([part.images for part in batches]), {**costs, "peak_memory_bytes": float(peak)}, devices


def _take_turns(row: Row, model: Model, progress: Progress, batch: int, team: Team) -> tuple[list[Batch], list[_Spent]]:
    """Every rank draws a batch in each turn, while there are any; rank 0 is given all of them, in their order."""
    recipe, total, meter = row.assembly.recipe, row.assembly.samples, Meter()
    steps = row.assembly.spelled["sampling_steps"]
    drawn: list[Batch] = []
    forget_peak(model.device)
    progress("sample", 0, total, row.key, steps)
    own = sample_images(model, recipe, total, batch, meter, team)
    for _ in batches_of(total, batch)[:: team.size]:
        drawn += [part for part in team.gather(next(own, None)) if part is not None]
        progress("sample", sum(len(part.images) for part in drawn), total, row.key, steps)
    return drawn, team.gather(_Spent(meter, peak_memory(model.device), device_name(model.device)))


def traces(store: Store, row: Row, model: Model, images: Tensor) -> Mapping[str, Writer]:
    """What the report draws of a row beside its scores."""
    reference = reference_for(store, row, model.device)
    seen = extract(reference.extractor, images[:MATCHED], None, model.device).features
    return trace_files(model, row.assembly.recipe, seen, reference.real.features, row.assembly.data.train)


def _costs(batch_size: int, model: Model, trained: TrainStep) -> dict[str, float]:
    images = trained.step * batch_size
    training = training_costs(trained.flops, trained.seconds, images, model.device, trained.devices)
    return {**training, "parameters": float(sum(parameter.numel() for parameter in model.module.parameters()))}


# What the rows of a trial share, and how one of them is made of it.
_WORK: dict[About, tuple[Callable[..., Any], Callable[..., None]]] = {
    "images": (fitted_model, _record_images),
    "tokenizer": (fitted_tokenizer, record_reconstruction),
}
