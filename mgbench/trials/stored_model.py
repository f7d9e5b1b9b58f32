"""Draw further images from a stored model, without training."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import starmap
from typing import Any

import torch

from mgbench.errors import UserError, suggestion
from mgbench.interfaces.progress import Progress
from mgbench.interfaces.ranks import ALONE
from mgbench.recipes.recipe import Recipe, current, decides
from mgbench.registry.registry import Registry
from mgbench.registry.resolve import assemble
from mgbench.results.maintenance.inventory import stored_records
from mgbench.results.record import Record
from mgbench.results.store import Store
from mgbench.stages.cost import Meter
from mgbench.stages.sample import Batch, sample_images
from mgbench.trials.fit import Helper
from mgbench.trials.plan import Row, Trial

OF_IMAGES = ("images", "scores")


@dataclass(frozen=True)
class StoredModel:
    """A row whose model and tokenizer are stored, and the device to sample on."""

    store: Store
    row: Row
    device: torch.device

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes that the model was trained with; empty if it was trained without labels."""
        return self.row.assembly.data.class_names if self.row.assembly.classes else ()

    def images(self, count: int, batch: int) -> Iterator[Batch]:
        """Draw images 0 … count − 1, at most `batch` at once."""
        assembly = self.row.assembly
        reader = Helper(self.store, Trial(self.row.trial, (self.row,)), self.device, Progress(), ALONE)
        yield from sample_images(reader.model(assembly.recipe), assembly.recipe, count, batch, Meter())


def find_model(
    registry: Registry, store: Store, name: str, changes: Mapping[str, Any], device: torch.device
) -> StoredModel:
    """The model of a method, or of a row by its key, with `changes` of what decides its images only.

    Raises:
        UserError: if there is no such row, the method has several models, a change decides the model or has no effect, or the
            stored model is of other code than what is installed.
    """
    changes = dict(starmap(current, changes.items()))
    for field in changes:
        if decides(field) not in OF_IMAGES:
            raise UserError(f"{field} decides the model, which is trained already; 'mgbench run' trains another")
    record = _record(store, name)
    fields = {field: value for field, value in record.recipe.items() if value is not None}
    row = Row(record.method, assemble(registry, Recipe.of(**{**fields, **changes})))
    for field, value in changes.items():
        if value is not None and row.spelled.get(field, value) is None:
            raise UserError(
                f"{field} has no effect on images of {record.method}, whose process decides it; leave it out"
            )
    if row.trial != record.training_key:
        raise UserError(
            f"the model of {name} was trained by other code or of other data than there is now, so it cannot be rebuilt; "
            "'mgbench run' trains it anew"
        )
    if row.assembly.unfit:
        raise UserError(f"{name} cannot be sampled so: {row.assembly.unfit}")
    folders = store.layout.model(row.trial), store.layout.tokenizer(row.assembly.keys.tokenizer)
    if not all(map(store.complete, folders)):
        raise UserError(f"the model of {name} is not in {store.root} any more; run its study again, which trains it")
    return StoredModel(store, row, device)


def _record(store: Store, name: str) -> Record:
    known = stored_records(store.layout)
    if name in known and known[name].about == "images":
        return known[name]
    drawn = [record for record in known.values() if record.about == "images" and record.status == "done"]
    found = [record for record in drawn if record.method == name]
    if not found:
        named = dict.fromkeys(record.method for record in drawn)
        raise UserError(f"{store.root} holds no finished row of {name!r}; {suggestion(name, named)}")
    by_model = {record.training_key: record for record in found}
    if len(by_model) > 1:
        raise UserError(
            f"{name} has {len(by_model)} models in {store.root}; name a row of one: {_told_apart(list(by_model.values()))}"
        )
    return found[0]


def _told_apart(records: list[Record]) -> str:
    """The key of each row with the fields in which their models differ."""
    fields = [
        field
        for field in records[0].recipe
        if decides(field) not in OF_IMAGES and len({str(record.recipe.get(field)) for record in records}) > 1
    ]
    return "; ".join(
        f"{record.key} ({', '.join(f'{field}={record.recipe.get(field)}' for field in fields) or 'other code'})"
        for record in records
    )
