"""A request to stop is heard within one piece of work, in whatever stage it comes, and every stage counts."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from mgbench.components.processes.masked import Masked
from mgbench.components.tokenizers import lloyd
from mgbench.components.tokenizers.patches import KMeansModule
from mgbench.interfaces.engine import Message
from mgbench.interfaces.progress import Interrupted, Progress, StopRequest
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.study import Study
from mgbench.registry.loading import load
from mgbench.registry.registry import Registry
from mgbench.results.store import Store
from mgbench.stages import extract, tokenize
from mgbench.trials import image_scores
from mgbench.trials.plan import plan_rows, plan_tokenizers, plan_trials
from mgbench.trials.trial import run_trial
from tests.doubles import TINY
from tests.messages import stages

KMEANS = "kmeans(codes=8, size=4)"
RECIPE = TINY.change(tokenizer=KMEANS, head="categorical", solver=None, metrics=("fid", "kid"), train_steps=22)
Done = Callable[[str], None]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load()


def run(registry: Registry, root: Path, progress: Progress, recipe: Recipe = RECIPE) -> None:
    """The trial of the tokenizer, then that of the model."""
    store = Store(root)
    rows = plan_rows(registry, Study("s", {"m": recipe}), store)
    for trial in plan_trials([*plan_tokenizers(rows, store), *rows]):
        run_trial(store, trial, torch.device("cpu"), progress)


def watch(monkeypatch: pytest.MonkeyPatch, done: Done) -> None:
    """Call `done` with a name after every piece of work: a batch, a step, a metric."""
    monkeypatch.setattr(tokenize, "BATCH", 128)
    for owner, method, name in (
        (KMeansModule, "encode", "encode"),
        (KMeansModule, "decode", "decode"),
        (lloyd, "_nearest", "fit"),
        (Masked, "loss", "train"),
        (Masked, "bound", "likelihood"),
        (extract, "_kept", "extract"),
        (image_scores, "compute_scores", "compute_scores"),
    ):
        monkeypatch.setattr(owner, method, _after(getattr(owner, method), name, done))
    sample = Masked.sample

    def stepped(*arguments: Any) -> Iterator[Any]:
        for state in sample(*arguments):
            yield state
            done("sample")

    monkeypatch.setattr(Masked, "sample", stepped)


def _after(work: Callable[..., Any], name: str, done: Done) -> Callable[..., Any]:
    def worked(*arguments: Any, **options: Any) -> Any:
        found = work(*arguments, **options)
        done(name)
        return found

    return worked


@pytest.mark.parametrize(
    "name", ["fit", "encode", "decode", "train", "likelihood", "sample", "extract", "compute_scores"]
)
def test_a_signal_in_any_stage_is_heard_before_the_next_piece_of_work(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    request, after = StopRequest(), list[str]()

    def done(work: str) -> None:
        if request.asked:
            after.append(work)
        elif work == name:
            request.signalled()

    watch(monkeypatch, done)
    with pytest.raises(Interrupted):
        run(registry, tmp_path, Progress(stop=lambda: request.asked, anywhere=request.anywhere))
    assert not after


def test_every_stage_counts_up_to_its_end(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, works = list[Message](), list[str]()
    watch(monkeypatch, works.append)
    run(registry, tmp_path, Progress(seen.append))
    assert set(works) == {"fit", "encode", "decode", "train", "likelihood", "sample", "extract", "compute_scores"}
    told = list(dict.fromkeys(now.stage for now in stages(seen)))
    assert told == [
        *("tokenize", "reconstruct", "reference", "score", "metrics", "encode", "train", "likelihood", "sample")
    ]
    for stage in told:
        counts = [(now.done, now.total) for now in stages(seen, stage)]
        assert len(counts) > 1
        assert counts[-1][0] == counts[-1][1], stage
