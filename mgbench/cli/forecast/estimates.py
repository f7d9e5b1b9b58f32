"""Estimates of a trial's time, from stored rows like it and from measured speeds."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mgbench.results.wording import counted

if TYPE_CHECKING:
    from mgbench.results.layout import Layout
    from mgbench.results.record import Record
    from mgbench.results.speed import Speed
    from mgbench.trials.costs import TrialCosts
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
class Drawn:
    """Seconds and operations of an image at a number of sampling steps."""

    steps: float
    flops: float
    seconds: float


@dataclass(frozen=True)
class Basis:
    """The basis of an estimate: trained images a second by batch size, drawn images, and seconds of scoring a row, for the row
    itself and for each of its images.
    """

    trained: Sequence[tuple[int, float]]
    drawn: Sequence[Drawn]
    scored: float
    scored_image: float
    source: str

    @classmethod
    def of_rows(cls, records: Sequence["Record"], said: str) -> "Basis":
        """Stored rows."""
        devices = sorted({str(record.origin.get("device", "an unknown device")) for record in records})
        trained = [(_batch(record.recipe), record.costs.get("train_images_per_second", 0.0)) for record in records]
        drawn = [_drawn(record.recipe, record.costs) for record in records]
        scored = statistics.median(map(_beside_sampling, records))
        source = f"{counted(len(records), 'stored row')} of {said}, on {' and '.join(devices)}"
        return cls(_known(trained), drawn, scored, 0.0, source)

    @classmethod
    def of_speeds(cls, speeds: Sequence["Speed"]) -> "Basis":
        """Measured speeds of one method on the device at hand."""
        trained = [(_batch(speed.recipe), speed.costs.get("train_images_per_second", 0.0)) for speed in speeds]
        drawn = [_drawn(speed.recipe, speed.costs) for speed in speeds if "seconds_per_image" in speed.costs]
        scored, image = (
            statistics.median(speed.costs.get(name, 0.0) for speed in speeds)
            for name in ("metrics_seconds", "features_seconds_per_image")
        )
        return cls(_known(trained), drawn, scored, image, f"mgbench speed {speeds[0].method}, on {speeds[0].device}")

    def training_seconds(self, batch: int, steps: int) -> float | None:
        """Seconds of a training, at the rate of the nearest batch size; None if no training is known."""
        if not self.trained:
            return None
        nearest = min({size for size, _ in self.trained}, key=lambda size: _apart(size, batch))
        return steps * batch / statistics.median(rate for size, rate in self.trained if size == nearest)

    def image_seconds(self, steps: float, flops: float | None) -> float:
        """Seconds of an image: those of the nearest one drawn, times the ratio of operations, or of steps where operations are
        not known.
        """
        if flops and all(one.flops for one in self.drawn):
            return _scaled([(one.flops, one.seconds) for one in self.drawn], flops)
        return _scaled([(one.steps, one.seconds) for one in self.drawn], steps)


@dataclass(frozen=True)
class Rates:
    """Stored rows of images: all of them, and grouped by equal settings and, as a fallback, by equal component names; and
    measured speeds of the device at hand by equal settings.
    """

    exact: Mapping[tuple[str, ...], list["Record"]] = field(default_factory=dict)
    every: Sequence["Record"] = ()
    alike: Mapping[tuple[str, ...], list["Record"]] = field(default_factory=dict)
    speeds: Mapping[tuple[str, ...], list["Speed"]] = field(default_factory=dict)

    def of(self, trial: "Trial", trained: bool, counted: "TrialCosts | None" = None) -> Estimate:
        """Estimate for a trial, from its counted costs if there are any; training is left out if its model is stored."""
        if trial.about != "images":
            return Estimate(source="")
        basis = self._basis(trial.rows[0].spelled)
        return Estimate() if basis is None else _estimate(trial.rows, basis, trained, counted)

    def _basis(self, spelled: Mapping[str, Any]) -> Basis | None:
        like, names = _like(spelled), _names(spelled)
        if like in self.exact:
            return Basis.of_rows(self.exact[like], "the same network, head, tokenizer and data")
        if like in self.speeds:
            return Basis.of_speeds(self.speeds[like])
        if names in self.alike:
            return Basis.of_rows(self.alike[names], "the same components with other options")
        return None


def stored_rates(layout: "Layout", device: str = "") -> Rates:
    """Rates of the newest finished rows, and of the speeds that were measured on a device of this name."""
    from mgbench.results.speed import stored_speeds

    exact: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    alike: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    speeds: dict[tuple[str, ...], list[Speed]] = defaultdict(list)
    every = []
    for record in _newest(layout):
        if record.about == "images" and record.status == "done" and record.costs.get("seconds_per_image"):
            exact[_like(record.recipe)].append(record)
            alike[_names(record.recipe)].append(record)
            every.append(record)
    for speed in stored_speeds(layout):
        if speed.device == device and "seconds_per_image" in speed.costs:
            speeds[_like(speed.recipe)].append(speed)
    return Rates(exact, every, alike, speeds)


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


def _batch(recipe: Mapping[str, Any]) -> int:
    return int(recipe.get("batch_size") or 1)


def _known(trained: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    return [(size, rate) for size, rate in trained if rate]


def _drawn(recipe: Mapping[str, Any], costs: Mapping[str, float]) -> Drawn:
    steps = recipe.get("sampling_steps") or 1
    return Drawn(steps, costs.get("flops_per_image") or 0.0, costs["seconds_per_image"])


def _apart(one: float, other: float) -> float:
    return max(one / other, other / one)


def _scaled(known: Sequence[tuple[float, float]], size: float) -> float:
    """The median seconds of the nearest size, in proportion."""
    nearest = min({other for other, _ in known}, key=lambda other: _apart(other, size))
    return statistics.median(seconds for other, seconds in known if other == nearest) * size / nearest


def _estimate(rows: "Sequence[Row]", basis: Basis, trained: bool, counted: "TrialCosts | None") -> Estimate:
    recipe = rows[0].assembly.recipe
    train = 0.0 if trained else basis.training_seconds(recipe.batch_size, recipe.train_steps)
    sample = score = 0.0
    for row in rows:
        images = row.assembly.samples
        flops = counted.rows[row.key].get("flops_per_image") if counted else None
        sample += images * basis.image_seconds(row.spelled.get("sampling_steps") or 1, flops)
        score += basis.scored + images * basis.scored_image
    return Estimate(train, sample, score, basis.source)


def _beside_sampling(record: "Record") -> float:
    """Seconds of a row outside sampling: scoring and the drawing of figures."""
    try:
        began, ended = (datetime.fromisoformat(record.origin[name]) for name in ("started", "finished"))
    except (KeyError, TypeError, ValueError):
        return 0.0
    drawn = record.costs["seconds_per_image"] * float(record.recipe.get("samples") or 0)
    return max(0.0, (ended - began).total_seconds() - drawn)
