"""Images that all ranks of a team put through an extractor: the numbers are those of one process, bit for bit."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from mgbench.components.datasets.embedded import Shapes
from mgbench.components.metrics.classifier import Accuracy, InceptionScore
from mgbench.components.metrics.distances import Fid, Kid
from mgbench.errors import Unfit
from mgbench.interfaces.data import Features, ImageData
from mgbench.interfaces.progress import Advance, Interrupted
from mgbench.stages import extract
from mgbench.stages.extract import Through, pass_for
from mgbench.stages.extracted import Extracted
from mgbench.trials import real_features
from mgbench.trials.image_scores import seen_by
from mgbench.trials.passes import through_ranks
from mgbench.trials.plan import Row
from mgbench.trials.real_features import reference_of
from tests.engines.test_distributed import Crew, crew
from tests.interfaces.test_images import lazily
from tests.trials.test_real_features import Eye, Means

CPU = torch.device("cpu")
DATA = Shapes(train=100, test=70).load()
METRICS = (Fid(), Accuracy(), InceptionScore(), InceptionScore(splits=3))


@dataclass(frozen=True)
class Refuses(Fid):
    """A metric that cannot look at the second group of images."""

    def update(self, state: Any, seen: Features) -> Any:
        if bool((seen.labels == -1).any()):
            raise Unfit("an image has no label")
        return super().update(state, seen)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups of 16 images, in batches of 2."""
    monkeypatch.setattr("mgbench.stages.extract.pass_for.__defaults__", (2,))
    monkeypatch.setattr("mgbench.stages.extract.Pass.__init__.__defaults__", ((), True, 2))


def row(data: ImageData, metrics: tuple[Any, ...]) -> Row:
    parts = SimpleNamespace(extractor=Eye(), metrics=metrics)
    return cast("Row", SimpleNamespace(key="r", assembly=SimpleNamespace(parts=parts, reference_data=data)))


def on_ranks(made: Crew, data: ImageData, metrics: tuple[Any, ...]) -> Through:
    return through_ranks(row(data, metrics), made.first)


def ranks(size: int, data: ImageData, metrics: tuple[Any, ...]) -> Any:
    trial = SimpleNamespace(rows=[row(data, metrics)])
    return crew(size, lambda other: SimpleNamespace(trial=trial, device=CPU, team=other))


def same(one: Extracted, other: Extracted, metrics: tuple[Any, ...]) -> None:
    assert (one.count, one.is_whole) == (other.count, other.is_whole)
    assert torch.equal(one.opening, other.opening)
    for metric in metrics:
        here, there = one.state(metric), other.state(metric)
        assert all(torch.equal(here[name], there[name]) for name in {*here, *there})
    if one.is_whole:
        assert torch.equal(one.features.features, other.features.features)
        assert torch.equal(one.features.logits, other.features.logits)  # type: ignore[arg-type]
        assert torch.equal(one.features.labels, other.features.labels)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("metrics", [METRICS, (*METRICS, Kid())], ids=["states", "features"])
def test_images_that_one_rank_has_are_handed_out(size: int, metrics: tuple[Any, ...]) -> None:
    module, told, seen = Means().eval(), [], threads_of_batches()
    work = pass_for(cast("Any", seen), CPU, metrics)
    alone = pass_for(cast("Any", module), CPU, metrics)
    growing = [metric for metric in metrics if metric != Kid()]
    expected = extract.put_through(alone, DATA.test, DATA.test_labels)
    with ranks(size, DATA, metrics) as made:
        advance = Advance(lambda done, total: told.append((done, total)))
        found = on_ranks(made, DATA, metrics)(work, DATA.test, DATA.test_labels, advance=advance)
    same(found, expected, tuple(growing))
    assert seen.images < len(DATA.test) / size + 16, "rank 0 sees its share alone"
    assert told == sorted(told)
    assert told[-1] == (35, 35)


def threads_of_batches() -> Any:
    class Counting(Means):
        images = 0

        def forward(self, images: torch.Tensor) -> Features:
            self.images += len(images)
            return super().forward(images)

    return Counting().eval()


@pytest.mark.parametrize("lazy", [False, True], ids=["held", "lazy"])
@pytest.mark.parametrize("fits", [True, False], ids=["whole", "streamed"])
def test_every_rank_reads_its_own_real_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lazy: bool, fits: bool
) -> None:
    if not fits:
        monkeypatch.setattr(real_features, "FEATURE_BYTES", 100)
    data = DATA if not lazy else ImageData(lazily(DATA.train), DATA.train_labels, *list(vars(DATA).values())[2:5])
    known = partial(reference_of, data, "shapes", Eye(), CPU)
    alone = known(tmp_path / "alone")
    with ranks(2, data, METRICS) as made:
        through = on_ranks(made, data, METRICS)
        shared = known(tmp_path / "shared", through=through)
        ours = seen_by(METRICS, shared, DATA.test, DATA.test_labels, CPU, through)
    same(ours, seen_by(METRICS, alone, DATA.test, DATA.test_labels, CPU), METRICS)
    same(shared.real, alone.real, (METRICS[0],))
    assert shared.held_out is not None
    assert alone.held_out is not None
    same(shared.held_out, alone.held_out, METRICS)


def test_a_metric_that_no_group_but_one_fits_is_left_out_with_its_reason() -> None:
    labels, metrics = torch.arange(70) % 2, (Refuses(), Accuracy())
    labels[20] = -1
    with ranks(2, DATA, metrics) as made:
        found = on_ranks(made, DATA, metrics)(pass_for(cast("Any", Means().eval()), CPU, metrics), DATA.test, labels)
    assert found.state(Accuracy())["counts"][0] == 69
    with pytest.raises(Unfit, match="an image has no label"):
        found.state(Refuses())


def test_asked_to_stop_every_rank_stops_and_can_go_on() -> None:
    def stop(done: int, total: int) -> None:
        if done > 20:
            raise Interrupted

    with ranks(2, DATA, METRICS) as made:
        through, work = on_ranks(made, DATA, METRICS), pass_for(cast("Any", Means().eval()), CPU, METRICS)
        with pytest.raises(Interrupted):
            through(work, DATA.train, DATA.train_labels, "train", Advance(stop))
        again = through(work, DATA.train, DATA.train_labels, "train")
    same(again, extract.put_through(work, DATA.train, DATA.train_labels), METRICS)
