"""Real images as metrics see them: their features, or only states of metrics, stored under the facts that identify them."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save

from mgbench.errors import Unfit
from mgbench.interfaces import optional
from mgbench.interfaces.components import MergeableMetric, Metric, MetricState
from mgbench.interfaces.data import Features
from mgbench.recipes.fingerprint import fingerprint
from mgbench.recipes.keys import digest
from mgbench.results.store import FACTS, Store
from mgbench.stages.extract import HERE
from mgbench.stages.extracted import BATCH, Extracted, Keeping, Way

STATE = "state.safetensors"
FEATURE = 8  # bytes, as float64
Stream = Callable[[Sequence[MergeableMetric], Way], Extracted]


@dataclass(frozen=True)
class Shelf:
    """The stored results of one set of real images, each under the facts that identify it."""

    store: Store
    facts: Mapping[str, Any]

    @property
    def key(self) -> str:
        """The key of the folder that holds the features of the images."""
        return digest(dict(self.facts))

    def folder(self, more: Mapping[str, Any]) -> Path:
        """The folder of the result that these further facts identify."""
        return self.store.layout.reference(digest({**self.facts, **more}))

    def save(self, more: Mapping[str, Any], name: str, content: bytes) -> None:
        """Store a file together with the facts that identify it."""
        described = json.dumps({**self.facts, **more}, indent=1).encode()
        files = {
            name: lambda path: _put(path, content),
            FACTS: lambda path: _put(path, described),
        }
        self.store.save_folder(self.folder(more), files)

    def read(self, more: Mapping[str, Any], name: str) -> Path | None:
        """The path of a stored file; None if it is missing or damaged."""
        folder = self.folder(more)
        return folder / name if self.store.complete(folder) else None


class StoredExtracted(Extracted):
    """Real images whose metric states are stored beside their features."""

    def __init__(self, features: Features, shelf: Shelf) -> None:
        super().__init__(len(features.features), features, features.features[:BATCH])
        self.shelf = shelf

    def state(self, metric: Keeping) -> MetricState:
        """The finished state of a metric, read from the store if it was computed before; raises as `Extracted.state`."""
        facts = described(metric)
        if facts is None or self.knows(metric):
            return super().state(metric)
        found = self.shelf.read({"state": facts}, STATE)
        if found is not None:
            self.keep(metric, load_file(found))
            return super().state(metric)
        state = super().state(metric)
        _publish_state(self.shelf, facts, state)
        return state


class StreamedExtracted(Extracted):
    """Real images whose features do not fit: they pass through the extractor a batch at a time, and states of metrics are stored.

    A metric that needs all features at once has no numbers, and says so.
    """

    def __init__(self, shelf: Shelf, count: int, opening: Features, stream: Stream) -> None:
        super().__init__(count, None, opening.features)
        self.shelf, self._labelled, self._stream = shelf, opening.labels is not None, stream

    @property
    def labelled(self) -> bool:
        """Whether the images have labels of the classes that the extractor knows."""
        return self._labelled

    @property
    def features(self) -> Features:
        """The features of all images.

        Raises:
            Unfit: always.
        """
        size = self.count * self.dim * FEATURE / 2**30
        raise Unfit(
            f"a metric that compares single images, as kid does, is left out: the features of all {self.count:,} real "
            f"images are {size:.0f} GiB; score it against fewer, as published precision and recall are (10,000)"
        )

    def beside(self, held_out: Extracted | None) -> Extracted:
        """The same images; nothing that compares with both can see all of them."""
        return self

    def gather(self, metrics: Iterable[Metric], through: Way | None = None) -> None:
        """Compute the states of those metrics that are not stored in one pass, and store them."""
        looking = filter(optional.needs_reference, metrics)
        wanted = [merging for metric in looking if (merging := optional.mergeable(metric)) and not self._known(merging)]
        if not wanted:
            return
        found = self._stream(wanted, through or HERE)
        for metric in wanted:
            try:
                state = found.state(metric)
            except Unfit as reason:
                self.keep(metric, reason)
                continue
            self.keep(metric, state)
            if (facts := described(metric)) is not None:
                _publish_state(self.shelf, facts, state)

    def _known(self, metric: MergeableMetric) -> bool:
        """Whether a state is at hand, or was stored and is now."""
        facts = described(metric)
        if not self.knows(metric) and facts is not None and (found := self.shelf.read({"state": facts}, STATE)):
            self.keep(metric, load_file(found))
        return self.knows(metric)

    def state(self, metric: Keeping) -> MetricState:
        """The finished state of a metric, read from the store if it was computed before; raises as `Extracted.state`."""
        self.gather([metric])
        return super().state(metric)


def _publish_state(shelf: Shelf, facts: Mapping[str, Any], state: MetricState) -> None:
    shelf.save({"state": facts}, STATE, save({name: part.contiguous() for name, part in state.items()}))


def described(metric: object) -> dict[str, Any] | None:
    """The code and options that decide the numbers of a metric; None if it is no dataclass, so that its options are unknown."""
    if not is_dataclass(metric):
        return None
    maker = type(metric)
    return {"metric": maker.__qualname__, "code": fingerprint(maker), "options": repr(metric)}


def _put(path: Path, content: bytes) -> None:
    path.write_bytes(content)
