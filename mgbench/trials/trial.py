"""Run one trial: train or read the model that its rows share, then draw, score and record every row, failures included."""

import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import torch

from mgbench.errors import Diverged, Unwritable
from mgbench.interfaces.artifacts import FinishedRow
from mgbench.interfaces.engine import USUAL, Note, Options, RowEnded
from mgbench.interfaces.progress import STOPPED_BY_USER, Interrupted, Progress
from mgbench.interfaces.ranks import ALONE, RankFailed, Team
from mgbench.results.record import About, Status, ending
from mgbench.results.store import Store, Writer
from mgbench.stages.cost import training_costs
from mgbench.stages.likelihood import DECLARED
from mgbench.stages.memory import ran_out
from mgbench.stages.sample import Model, asked_labels
from mgbench.stages.train import TrainStep
from mgbench.trials.artifacts import artifact_files
from mgbench.trials.diagnostics import MATCHED, film_files, nearest_file
from mgbench.trials.draw import draw
from mgbench.trials.fit import Unprepared, fitted_model, fitted_tokenizer
from mgbench.trials.kept_images import KeptImages, keep_images, kept_images
from mgbench.trials.plan import Row, Trial
from mgbench.trials.reconstruction import record_reconstruction
from mgbench.trials.score import IMAGES, SHOWN, Scored, images_writer, now, origin, save_real, score
from mgbench.trials.trained import Trained

T = TypeVar("T")


def run_trial(
    store: Store,
    trial: Trial,
    device: torch.device,
    progress: Progress,
    options: Options = USUAL,
    team: Team = ALONE,
) -> None:
    """Compute and record every row of a trial on a team; a row that fails does not affect the others.

    Raises:
        Interrupted: if the user asked to stop, after the remaining rows were recorded as interrupted.
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
            make = partial(record, store, waiting[0], fitted, device, progress, options, team)
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
    """Call `work`, on which rows depend; if it fails, record that for each of them and return None."""
    status: Status = "failed"
    tail = ""
    try:
        return work()
    except Interrupted:
        raise
    except Diverged as error:
        status, reason = "diverged", str(error)
    except Unprepared as error:
        reason = str(error)
    except Unwritable as error:
        # Not the fault of the recipe, so the same command tries again.
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
    """Record rows that were not computed, with the reason."""
    for row in rows:
        store.save_record(row.record(status, reason, tail=tail))


def _record_images(
    store: Store,
    row: Row,
    fitted: Trained,
    device: torch.device,
    progress: Progress,
    options: Options,
    team: Team,
) -> None:
    assembly, started = row.assembly, now()
    # The rows of a trial share a training, but each samples with its own parts, and with the average that it asks for.
    model = replace(fitted.model(assembly.recipe), parts=assembly.parts)
    labels = asked_labels(assembly.recipe, model, torch.arange(assembly.samples))
    kept = kept_images(store, row)
    if kept is None:
        drawn = draw(row, model, progress, options.batch, team)
        files = film_files(model, assembly.recipe, drawn.film)
        kept = KeptImages(drawn.images, drawn.costs, drawn.devices, files, drawn.warnings)
        keep_images(store, row, kept, labels, options.keep_images)
    scored = score(store, row, kept.images, labels if model.classes else None, device, progress, team)
    shown = {IMAGES: images_writer(kept.images[:SHOWN], labels[:SHOWN]), **kept.files, **_nearest(row, scored)}
    save_real(store, assembly.data)
    costs = {**kept.costs, **_costs(assembly.recipe.batch_size, model, fitted.last), **model.bound.costs}
    scores = scored.fields["scores"] | model.bound.scores
    finished = FinishedRow(row.key, row.method, row.spelled, kept.images, labels, scores, costs)
    artifacts, missing = artifact_files(vars(assembly.parts).values(), finished)
    warnings = [*scored.fields["warnings"], *kept.warnings, *missing]
    declared = scored.fields["declared"] | {name: DECLARED[name].plain() for name in model.bound.scores}
    said = {**scored.fields, "scores": scores, "declared": declared, "warnings": warnings}
    record = row.record("done", costs=costs, origin={**origin(row, device, started), **kept.devices}, **said)
    store.save_record(record, {**shown, **artifacts})
    progress.emit(RowEnded(row.key, "done"))


def _nearest(row: Row, scored: Scored) -> Mapping[str, Writer]:
    """The file of the training images nearest to the first samples, by the features used for scoring."""
    if row.assembly.recipe.reference != "train" or not scored.reference.real.is_whole:
        return {}
    return nearest_file(scored.features[:MATCHED], scored.reference.real.features.features, row.assembly.data.train)


def _costs(batch_size: int, model: Model, trained: TrainStep) -> dict[str, float]:
    images = trained.step * batch_size
    training = (
        {} if not images else training_costs(trained.flops, trained.seconds, images, model.device, trained.devices)
    )
    return {**training, "parameters": float(sum(parameter.numel() for parameter in model.module.parameters()))}


# By the subject of a trial: how to obtain the model or tokenizer that its rows share, and how to record one row.
_WORK: dict[About, tuple[Callable[..., Any], Callable[..., None]]] = {
    "images": (fitted_model, _record_images),
    "tokenizer": (fitted_tokenizer, record_reconstruction),
}
