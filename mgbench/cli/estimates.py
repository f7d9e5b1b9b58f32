"""Estimates of a trial's time, from the rates of similar stored rows."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mgbench.results.layout import Layout
    from mgbench.results.record import Record
    from mgbench.trials.plan import Row, Trial

# Settings that decide the time of a step, most important first.
_LIKE = ("process", "dataset", "tokenizer", "network", "head")
# Only the newest records are read: more would slow planning down and hardly change a median.
NEWEST = 400


@dataclass(frozen=True)
class Estimate:
    """Seconds per stage on one device; None without similar stored rows. `source` names the basis of the estimate."""

    train: float | None = None
    sample: float | None = None
    score: float | None = None
    source: str = "no similar stored rows"

    @property
    def total(self) -> float | None:
        """Total seconds of all stages."""
        parts = (self.train, self.sample, self.score)
        return None if self.train is None or self.sample is None else sum(part or 0.0 for part in parts)


@dataclass(frozen=True)
class Rates:
    """Stored rows of images: all of them, and grouped by equal settings and, as a fallback, by equal component names."""

    exact: Mapping[tuple[str, ...], list["Record"]] = field(default_factory=dict)
    every: Sequence["Record"] = ()
    alike: Mapping[tuple[str, ...], list["Record"]] = field(default_factory=dict)

    def of(self, trial: "Trial", trained: bool) -> Estimate:
        """Estimate for a trial; training is left out if its model is stored."""
        spelled = trial.rows[0].spelled
        if trial.about != "images":
            return Estimate(source="")
        for records, said in (
            (self.exact.get(_like(spelled)), "the same network, head, tokenizer and data"),
            (self.alike.get(_names(spelled)), "the same components with other options"),
        ):
            if records:
                devices = sorted({str(record.origin.get("device", "an unknown device")) for record in records})
                count = f"{len(records)} stored row{'s' * (len(records) != 1)}"
                return _estimate(trial.rows, records, trained, f"{count} of {said}, on {' and '.join(devices)}")
        return Estimate()


def stored_rates(layout: "Layout") -> Rates:
    """Rates of the newest finished rows."""
    exact: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    alike: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    every = []
    for record in _newest(layout):
        if record.about == "images" and record.status == "done" and record.costs.get("seconds_per_image"):
            exact[_like(record.recipe)].append(record)
            alike[_names(record.recipe)].append(record)
            every.append(record)
    return Rates(exact, every, alike)


def _newest(layout: "Layout") -> "Iterable[Record]":
    from mgbench.errors import UserError
    from mgbench.results.record import load_record
    from mgbench.results.schema import Corrupt

    paths = sorted((layout.root / "runs").glob("*/record.json"), key=lambda path: -path.stat().st_mtime)
    for path in paths[:NEWEST]:
        try:
            yield load_record(path)
        except (Corrupt, OSError, UserError):
            continue


def _like(spelled: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(spelled.get(name)) for name in _LIKE)


def _names(spelled: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(text.partition("(")[0] for text in _like(spelled))


def _estimate(rows: "Sequence[Row]", records: "Sequence[Record]", trained: bool, source: str) -> Estimate:
    recipe = rows[0].assembly.recipe
    rates = [
        record.costs["train_images_per_second"] for record in records if record.costs.get("train_images_per_second")
    ]
    images = recipe.train_steps * recipe.batch_size
    train = 0.0 if trained else images / statistics.median(rates) if rates else None
    sample = sum(_seconds_per_image(row, records) * row.assembly.samples for row in rows)
    return Estimate(train, sample, len(rows) * statistics.median(map(_beside_sampling, records)), source)


def _seconds_per_image(row: "Row", records: "Sequence[Record]") -> float:
    """Seconds per image, scaled from the stored rows with the nearest number of steps."""
    steps = row.spelled.get("sampling_steps") or 1
    known: dict[float, list[float]] = defaultdict(list)
    for record in records:
        known[record.recipe.get("sampling_steps") or 1].append(record.costs["seconds_per_image"])
    nearest = min(known, key=lambda other: max(other / steps, steps / other))
    return statistics.median(known[nearest]) * steps / nearest


def _beside_sampling(record: "Record") -> float:
    """Seconds of a row outside sampling: scoring and the drawing of figures."""
    try:
        began, ended = (datetime.fromisoformat(record.origin[name]) for name in ("started", "finished"))
    except (KeyError, TypeError, ValueError):
        return 0.0
    drawn = record.costs["seconds_per_image"] * float(record.recipe.get("samples") or 0)
    return max(0.0, (ended - began).total_seconds() - drawn)
