"""Rows about tokenizers: fitted first and once, scored by what held-out images come back as, and failing by themselves."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mgbench.interfaces.engine import Message
from mgbench.interfaces.progress import Interrupted, Progress, StopRequest
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.study import Study
from mgbench.registry.loading import Registry, find, load
from mgbench.registry.resolve import assemble
from mgbench.results.record import Record
from mgbench.results.store import Store
from mgbench.stages.labels import held_out_rows
from mgbench.stages.tokenize import reconstruct
from mgbench.trials.plan import Row, plan_rows, plan_tokenizers, plan_trials
from mgbench.trials.trial import run_trial
from tests import doubles
from tests.doubles import TINY
from tests.messages import rows, stages

CPU = torch.device("cpu")
Reconstructed = tuple[Path, list[dict[str, Any]], Record, dict[str, Record]]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load([find(doubles.FILE)])


def run_study(
    registry: Registry, root: Path, progress: Progress | None = None, retry: bool = False, **recipes: Recipe
) -> tuple[list[Record], dict[str, Record]]:
    """Tokenizers first and then the models, as the command does: the records about tokenizers, and those of the methods."""
    store = Store(root)
    rows = plan_rows(registry, Study("s", recipes), store, retry)
    tokenizers = plan_tokenizers(rows, store, retry)
    for trial in plan_trials([*tokenizers, *rows]):
        run_trial(store, trial, CPU, progress or Progress())
    return [stored(store, row) for row in tokenizers], {row.method: stored(store, row) for row in rows}


def stored(store: Store, row: Row) -> Record:
    record = store.record(row.key)
    assert record is not None
    return record


KMEANS = TINY.change(
    tokenizer="kmeans(codes=8, size=4)",
    network="transformer(width=16, depth=1, heads=2)",
    head="categorical",
    solver=None,
)


@pytest.fixture(scope="module")
def reconstructed(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Reconstructed:
    root = tmp_path_factory.mktemp("results")
    seen: list[Message] = []
    recipes = {"one": KMEANS, "two": KMEANS.change(mask_schedule="linear")}
    (record,), models = run_study(registry, root, Progress(seen.append), **recipes)
    return root, seen, record, models


def test_a_tokenizer_is_fitted_once_for_all_models_and_first(
    reconstructed: Reconstructed,
) -> None:
    _, seen, record, models = reconstructed
    assert [record.status, *(model.status for model in models.values())] == ["done"] * 3
    assert models["one"].training_key != models["two"].training_key
    names = [progress.stage for progress in stages(seen)]
    fitted = [progress.done for progress in stages(seen, "tokenize")]
    assert fitted == sorted(set(fitted)), "steps that start again are those of a second fitting"
    of_tokenizer = ["tokenize", "reconstruct", "reference", "score", "metrics"]
    assert list(dict.fromkeys(names)) == [*of_tokenizer, "encode", "train", "likelihood", "sample"]


@pytest.mark.parametrize("call", [1, 2])
def test_a_signal_interrupts_each_pass_through_the_tokenizer_at_once(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    request, calls = StopRequest(), list[int]()

    def signalled(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == call:
            request.signalled()
        return reconstruct(*arguments)

    monkeypatch.setattr("mgbench.trials.reconstruction.reconstruct", signalled)
    with pytest.raises(Interrupted):
        run_study(registry, tmp_path, Progress(stop=lambda: request.asked, anywhere=request.anywhere), m=KMEANS)
    assert len(calls) == call


def test_a_tokenizer_s_row_says_how_near_held_out_images_come_back(
    reconstructed: Reconstructed, registry: Registry
) -> None:
    root, _, record, models = reconstructed
    store, data = Store(root), assemble(registry, KMEANS).data
    assert (record.about, record.method) == ("tokenizer", "tokenizer")
    assert record.protocol == models["one"].protocol
    assert record.floors == models["one"].floors
    assert set(record.scores) == {*record.floors, "rmse"}
    assert record.floors["fid[digits_cnn]"] < record.scores["fid[digits_cnn]"]
    codebook = load_file(store.layout.tokenizer(record.training_key) / "tokenizer.safetensors")["codebook"]
    patches = data.test[held_out_rows(data, 20)].unfold(2, 4, 4).unfold(3, 4, 4).reshape(80, 16).float() / 127.5 - 1
    distances, codes = torch.cdist(patches, codebook).min(1)
    # Rounding to whole grey levels moves a pixel by half of one at most.
    assert record.scores["rmse"] == pytest.approx(float(distances.square().mean().div(16).sqrt()) * 127.5, abs=0.3)
    assert record.costs["codes_used"] == len(torch.unique(codes)) / 8
    assert record.costs["tokens"] == 4
    assert record.costs["parameters"] == codebook.numel()
    assert record.costs["fit_seconds"] > 0


def test_a_tokenizer_s_row_keeps_reconstructions_of_the_images_that_are_shown(
    reconstructed: Reconstructed,
) -> None:
    root, _, record, _ = reconstructed
    real = np.load(Store(root).layout.real(record.data))
    kept = np.load(root / "runs" / record.key / "images.npz")
    assert (kept["labels"] == real["labels"]).all()
    lost = np.square(kept["images"].astype(float) - real["images"]).mean((1, 2, 3))
    others = np.square(kept["images"].astype(float) - np.roll(real["images"], 1, 0)).mean((1, 2, 3))
    assert (lost < others).mean() > 0.95


def test_a_stored_row_about_a_tokenizer_is_reused(reconstructed: Reconstructed, registry: Registry) -> None:
    root, _, record, _ = reconstructed
    seen: list[Message] = []
    (again,), models = run_study(registry, root, Progress(seen.append), other=KMEANS.change(batch_size=8))
    assert again == record
    assert models["other"].status == "done"
    assert not stages(seen, "tokenize")


def test_what_can_be_given_back_whole_scores_as_the_real_images_do(registry: Registry, tmp_path: Path) -> None:
    (record,), _ = run_study(registry, tmp_path, m=TINY)
    assert record.scores == pytest.approx({**record.floors, "rmse": 0.0})
    assert "codes_used" not in record.costs
    assert record.costs["fit_seconds"] == record.costs["parameters"] == 0


def test_fitting_is_told_step_by_step(registry: Registry, tmp_path: Path) -> None:
    seen: list[Message] = []
    run_study(registry, tmp_path, Progress(seen.append), m=TINY.change(tokenizer="counted(steps=3)"))
    told = [(now.done, now.total, now.measured["loss"]) for now in stages(seen, "tokenize")]
    assert told == [(1, 3, 1), (2, 3, 1 / 2), (3, 3, 1 / 3)]


@pytest.mark.parametrize(
    ("failure", "status", "reason"),
    [("raises", "failed", "RuntimeError: no codebook (log: "), ("diverges", "diverged", "the loss became nan")],
)
def test_a_tokenizer_that_fails_is_a_failed_row_and_so_are_those_on_top(
    registry: Registry, tmp_path: Path, failure: str, status: str, reason: str
) -> None:
    recipe = TINY.change(tokenizer=f"counted(failure={failure})")
    seen: list[Message] = []
    recipes = {"a": recipe, "b": recipe.change(batch_size=8), "fine": TINY}
    (failed, whole), models = run_study(registry, tmp_path, Progress(seen.append), **recipes)
    assert failed.status == status
    assert reason in failed.reason
    assert {models[name].status for name in "ab"} == {"failed"}
    assert models["a"].reason == f"its tokenizer {status}: {failed.reason}"
    assert [whole.status, models["fine"].status] == ["done", "done"]
    assert len(stages(seen, "tokenize")) == 1, "it is not tried again by every model"
    assert len(rows(seen)) == 5


def test_a_tokenizer_that_failed_is_tried_again_when_asked(registry: Registry, tmp_path: Path) -> None:
    recipe = TINY.change(tokenizer="counted")
    rows = plan_tokenizers([Row("m", assemble(registry, recipe))], Store(tmp_path))
    Store(tmp_path).save_record(rows[0].record("failed", "RuntimeError: out of memory"))
    (record,), models = run_study(registry, tmp_path, m=recipe)
    assert [record.status, models["m"].status] == ["failed", "failed"]
    assert models["m"].reason == "its tokenizer failed: RuntimeError: out of memory"
    (record,), models = run_study(registry, tmp_path, retry=True, m=recipe)
    assert [record.status, models["m"].status] == ["done", "done"]


def test_stopping_while_a_tokenizer_is_fitted_leaves_none_and_the_next_command_fits_it(
    registry: Registry, tmp_path: Path
) -> None:
    recipe = TINY.change(tokenizer="counted(steps=5)")
    steps: list[int] = []
    progress = Progress(
        lambda message: steps.extend(now.done for now in stages([message], "tokenize")), lambda: len(steps) == 2
    )
    with pytest.raises(Interrupted):
        run_study(registry, tmp_path, progress, m=recipe)
    (stopped,) = plan_tokenizers([Row("m", assemble(registry, recipe))], Store(tmp_path))
    record = stored(Store(tmp_path), stopped)
    assert (record.status, record.about) == ("interrupted", "tokenizer")
    assert steps == [1, 2]
    assert not Store(tmp_path).complete(tmp_path / "tokenizers" / stopped.trial)
    (again,), models = run_study(registry, tmp_path, m=recipe)
    assert [again.status, models["m"].status] == ["done", "done"]
