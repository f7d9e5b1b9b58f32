"""The row about a tokenizer: scores of its reconstructions of held-out images, a bound for every model of its tokens."""

import math

import torch
from torch import Tensor

from mgbench.interfaces.engine import Options, RowEnded
from mgbench.interfaces.images import Images, batches, taken
from mgbench.interfaces.progress import Progress
from mgbench.interfaces.ranks import Team
from mgbench.interfaces.scores import ScoreInfo
from mgbench.results.store import Store
from mgbench.stages.labels import held_out_rows
from mgbench.stages.tokenize import BATCH, reconstruct
from mgbench.trials.fit import Fitted
from mgbench.trials.plan import Row
from mgbench.trials.score import IMAGES, images_writer, now, origin, save_real, score, shown_rows

DECLARED = {"rmse": ScoreInfo("RMSE", "lower", unit="grey levels", of="images")}


def record_reconstruction(
    store: Store, row: Row, fitted: Fitted, device: torch.device, progress: Progress, options: Options, team: Team
) -> None:
    """Score reconstructions of as many held-out images as the models draw samples (at most all), and record the scores.

    `rmse`, the root mean squared error of a pixel in 8-bit grey levels, is added to the metrics of the recipe.
    """
    data, started = row.assembly.data, now()
    # Held-out images that the scores do not compare with.
    others = row.assembly.reference_data
    rows = held_out_rows(others, row.assembly.samples, row.assembly.recipe.label_distribution)
    labels = None if others.test_labels is None else others.test_labels[rows]
    shown = shown_rows(data)
    back = progress.batches("reconstruct", row.key)
    with progress.anywhere():
        real = taken(others.test, rows)
        images, tokens = reconstruct(fitted.tokenizer, real, device, options.batch, back)
        again, _ = reconstruct(fitted.tokenizer, data.test[shown], device, options.batch)
    found = score(store, row, images, labels, device, progress, team).fields
    found["declared"] |= {name: info.plain() for name, info in DECLARED.items()}
    found["scores"]["rmse"] = _rmse(images, real)
    save_real(store, data)
    kept = torch.full((len(shown),), -1) if data.test_labels is None else data.test_labels[shown]
    record = row.record("done", costs=_costs(fitted, tokens), origin=origin(row, device, started), **found)
    store.save_record(record, {IMAGES: images_writer(again, kept)})
    progress.emit(RowEnded(row.key, "done"))


def _rmse(images: Tensor, real: Images) -> float:
    """The root mean squared difference of images uint8 [M,C,H,W'], in grey levels, a batch at a time."""
    squares = 0
    for made, seen in zip(batches(images, BATCH), batches(real, BATCH), strict=True):
        # Whole numbers, so that the sum is exact.
        squares += int((made.long() - seen.long()).square().sum())
    return math.sqrt(squares / images.numel())


def _costs(fitted: Fitted, tokens: Tensor) -> dict[str, float]:
    space = fitted.tokenizer.space
    costs = {
        "tokens": float(space.length),
        "parameters": float(sum(parameter.numel() for parameter in fitted.tokenizer.parameters())),
        "fit_seconds": fitted.seconds,
    }
    if space.codes:
        costs["codes_used"] = len(torch.unique(tokens)) / space.codes
    return costs
