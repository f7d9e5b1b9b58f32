"""One trial, in this process: what it leaves behind when all goes well, when it fails, and when it is stopped."""

import io
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mgbench.errors import Unwritable
from mgbench.interfaces.engine import Message, Options, StageProgress
from mgbench.interfaces.progress import Interrupted, Progress
from mgbench.recipes.recipe import LabelDistribution, Recipe
from mgbench.recipes.study import Study
from mgbench.registry.loading import Registry, find, load
from mgbench.registry.resolve import assemble
from mgbench.results.record import Record
from mgbench.results.store import CHECKPOINT, Store
from mgbench.stages import sample
from mgbench.stages.labels import labels_for
from mgbench.trials.plan import Row, Trial, plan_rows, plan_trials
from mgbench.trials.trial import run_trial
from tests import doubles
from tests.doubles import TINY
from tests.messages import notes, rows, stages

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load([find(doubles.FILE)])


def trials(registry: Registry, store: Store, retry: bool = False, **recipes: Recipe) -> list[Trial]:
    return plan_trials(plan_rows(registry, Study("s", recipes), store, retry))


def run(
    registry: Registry, root: Path, batch: int = 250, progress: Progress | None = None, **recipes: Recipe
) -> dict[str, Record]:
    """Every trial of the recipes, one after the other; their records by method."""
    store = Store(root)
    for trial in trials(registry, store, **recipes):
        run_trial(store, trial, CPU, progress or Progress(), Options(batch))
    rows = [Row(method, assemble(registry, recipe)) for method, recipe in recipes.items()]
    records = {row.method: store.record(row.key) for row in rows}
    return {method: record for method, record in records.items() if record is not None}


def images(root: Path, record: Record) -> np.ndarray[Any, Any]:
    kept: np.ndarray[Any, Any] = np.load(root / "runs" / record.key / "images.npz")["images"]
    return kept


def weights(root: Path, record: Record) -> dict[str, torch.Tensor]:
    loaded = load_file(root / "models" / record.training_key / "model.safetensors")
    # A copy, because what is loaded may still be the file itself.
    return {name: value.clone() for name, value in loaded.items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def done(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Record]]:
    """A trial of two rows that differ in guidance only."""
    root = tmp_path_factory.mktemp("results")
    return root, run(registry, root, plain=TINY, guided=TINY.change(guidance_schedule="constant(scale=5)"))


def test_a_done_row_holds_scores_floors_costs_and_how_they_were_obtained(done: tuple[Path, dict[str, Record]]) -> None:
    _, records = done
    record = records["plain"]
    assert (record.status, record.reason, record.method) == ("done", "", "plain")
    names = {"fid[digits_cnn]", "kid[digits_cnn]", "accuracy[digits_cnn]"}
    assert set(record.scores) == set(record.floors) == names
    assert all(np.isfinite([*record.scores.values(), *record.floors.values()]))
    assert record.scores["fid[digits_cnn]"] > record.floors["fid[digits_cnn]"] > 0
    assert record.floors["accuracy[digits_cnn]"] > 0.8
    assert record.protocol.startswith("digits@")
    assert "/n20/" in record.protocol
    assert "digits_cnn@" in record.protocol
    assert record.data in record.protocol or record.data.startswith(record.protocol.partition("@")[2][:8])
    assert {"mgbench", "torch", "python", "device", "started", "finished"} <= set(record.origin)


def test_few_images_are_warned_about(done: tuple[Path, dict[str, Record]]) -> None:
    _, records = done
    assert any("20" in warning for warning in records["plain"].warnings)


def test_guidance_away_from_what_was_never_trained_is_in_the_record(registry: Registry, tmp_path: Path) -> None:
    guided = TINY.change(process="masked(label_drop=0)", guidance_schedule="constant(scale=5)")
    record = run(registry, tmp_path, guided=guided)["guided"]
    assert record.status == "done"
    assert [warning for warning in record.warnings if "with label_drop=0 the model is not trained on these" in warning]


def test_costs_are_counted_where_they_happen(done: tuple[Path, dict[str, Record]]) -> None:
    """Two steps of four tokens: without guidance one pass a step, with it two; the head follows."""
    _, records = done
    plain, guided = records["plain"].costs, records["guided"].costs
    assert plain["nfe"] == 2
    assert guided["nfe"] == 4
    assert guided["head_evaluations"] == 2 * plain["head_evaluations"]
    assert plain["head_evaluations"] >= 2
    assert plain["parameters"] == guided["parameters"] > 0
    assert plain["train_seconds"] > 0
    assert plain["seconds_per_image"] > 0


def test_two_rows_of_one_model_with_other_guidance_are_other_images(done: tuple[Path, dict[str, Record]]) -> None:
    root, records = done
    assert records["plain"].training_key == records["guided"].training_key
    one, other = images(root, records["plain"]), images(root, records["guided"])
    assert one.shape == other.shape == (20, 1, 8, 8)
    assert one.dtype == np.uint8
    assert (one != other).any()


def test_what_a_trial_leaves_is_complete(done: tuple[Path, dict[str, Record]]) -> None:
    root, records = done
    store, record = Store(root), records["plain"]
    assert store.complete(store.layout.model(record.training_key))
    assert [path.name for path in (root / "tokenizers").iterdir()]
    assert not (store.layout.model(record.training_key) / CHECKPOINT).exists()
    labels = np.load(root / "runs" / record.key / "images.npz")["labels"]
    assert labels.tolist() == [index % 10 for index in range(20)]
    real = np.load(store.layout.real(record.data))
    assert real["images"].dtype == np.uint8
    assert real["labels"][:20].tolist() == labels.tolist()
    assert store.notes == []


def test_a_second_run_reuses_everything(registry: Registry, done: tuple[Path, dict[str, Record]]) -> None:
    root, records = done
    assert trials(registry, Store(root), plain=TINY) == []
    assert run(registry, root, plain=TINY)["plain"] == records["plain"]


def test_a_new_sampling_of_a_stored_model_trains_nothing(
    registry: Registry, done: tuple[Path, dict[str, Record]]
) -> None:
    root, records = done
    names: list[str] = []
    progress = Progress(lambda message: names.extend(now.stage for now in stages([message])))
    new = run(registry, root, progress=progress, new=TINY.change(sampling_steps=1))["new"]
    assert new.status == "done"
    assert "train" not in names
    assert "sample" in names
    assert new.costs["train_seconds"] == records["plain"].costs["train_seconds"]
    assert new.costs["nfe"] == 1


def test_the_same_recipe_is_the_same_images_and_scores_elsewhere_and_in_other_company(
    registry: Registry, done: tuple[Path, dict[str, Record]], tmp_path: Path
) -> None:
    root, records = done
    alone = run(registry, tmp_path, alone=TINY)["alone"]
    assert alone.key == records["plain"].key
    assert same(weights(tmp_path, alone), weights(root, records["plain"]))
    assert (images(tmp_path, alone) == images(root, records["plain"])).all()
    assert alone.scores == records["plain"].scores


@pytest.mark.parametrize("sampler", ["random_order", "ancestral_shared"])
def test_images_do_not_depend_on_the_batch_they_are_drawn_in(
    registry: Registry, done: tuple[Path, dict[str, Record]], tmp_path: Path, sampler: str
) -> None:
    recipe = TINY.change(sampler=sampler, guidance_schedule="constant")
    found = []
    for batch in (7, 64):
        root = tmp_path / str(batch)
        shutil.copytree(done[0] / "models", root / "models")
        shutil.copytree(done[0] / "tokenizers", root / "tokenizers")
        record = run(registry, root, batch, m=recipe)["m"]
        found.append((images(root, record), record.costs["nfe"], record.costs["head_evaluations"]))
    assert (found[0][0].astype(int) - found[1][0].astype(int) == 0).mean() > 0.99
    assert np.abs(found[0][0].astype(int) - found[1][0].astype(int)).max() <= 1
    assert found[0][1:] == found[1][1:]


def test_a_process_of_another_kind_shares_tokenizer_guidance_metrics_and_costs(
    registry: Registry, tmp_path: Path
) -> None:
    base = registry.recipes["doubles"]["gaussian"].change(learning_rate=0.1, train_steps=100, batch_size=64)
    records = run(registry, tmp_path, plain=base, guided=base.change(guidance_schedule="constant(scale=2)"))
    plain, guided = records["plain"], records["guided"]
    assert (plain.status, guided.status) == ("done", "done"), plain.reason
    assert plain.training_key == guided.training_key
    assert (plain.costs["nfe"], guided.costs["nfe"]) == (2, 4)
    assert plain.recipe["process"] == "gaussian"
    assert plain.recipe["head"] is None
    assert plain.protocol.startswith("digits@")
    assert plain.scores["accuracy[digits_cnn]"] > 0.5, "the means of classes look like digits"
    assert (images(tmp_path, plain) != images(tmp_path, guided)).any()


def test_two_methods_that_share_a_model_train_once(registry: Registry, tmp_path: Path) -> None:
    seen: list[Message] = []
    recipes = {"one": TINY, "two": TINY.change(sampler="ancestral_shared"), "other": TINY.change(batch_size=8)}
    records = run(registry, tmp_path, progress=Progress(seen.append), **recipes)
    assert [record.status for record in records.values()] == ["done"] * 3
    assert sum(now.done == 6 for now in stages(seen, "train")) == 2
    assert len(list((tmp_path / "models").iterdir())) == 2
    assert len(list((tmp_path / "tokenizers").iterdir())) == 1
    assert [row.status for row in rows(seen)] == ["done"] * 3


def test_codes_are_sampled_by_their_probability(registry: Registry, tmp_path: Path) -> None:
    codes = TINY.change(
        tokenizer="kmeans(codes=8, size=4)",
        network="transformer(width=16, depth=1, heads=2)",
        head="categorical",
        solver=None,
        sampler="maskgit",
    )
    record = run(registry, tmp_path, m=codes)["m"]
    assert (record.status, record.costs["nfe"]) == ("done", 2), record.reason
    assert record.recipe["solver"] is None


def test_a_model_without_labels_is_scored_without_accuracy(registry: Registry, tmp_path: Path) -> None:
    record = run(registry, tmp_path, m=TINY.change(labels=False))["m"]
    assert record.status == "done", record.reason
    assert "fid[digits_cnn]" in record.scores
    assert "accuracy[digits_cnn]" not in record.scores
    assert (np.load(tmp_path / "runs" / record.key / "images.npz")["labels"] == -1).all()


@pytest.mark.parametrize(
    "fields", [{"loss_weighting": "not_a_number"}, {"learning_rate": 1e30, "clip": 1e30, "train_steps": 40}]
)
def test_a_training_that_diverges_leaves_diverged_rows(
    registry: Registry, tmp_path: Path, fields: dict[str, Any]
) -> None:
    recipe = TINY.change(warmup_steps=0, **fields)
    records = run(registry, tmp_path, a=recipe, b=recipe.change(sampling_steps=1))
    assert {record.status for record in records.values()} == {"diverged"}
    assert "the loss became" in records["a"].reason
    assert records["a"].scores == {}
    assert not Store(tmp_path).complete(tmp_path / "models" / records["a"].training_key)


def test_a_component_that_raises_leaves_failed_rows_with_type_and_log(registry: Registry, tmp_path: Path) -> None:
    seen: list[Message] = []
    recipe = TINY.change(loss_weighting="raises('the shapes disagree')")
    records = run(
        registry, tmp_path, progress=Progress(seen.append), a=recipe, b=recipe.change(sampling_steps=1), fine=TINY
    )
    assert [record.status for record in records.values()] == ["failed", "failed", "done"]
    assert records["a"].reason.startswith("RuntimeError: the shapes disagree (log: ")
    assert str(Store(tmp_path).layout.log(records["a"].training_key)) in records["a"].reason
    assert [row.status for row in rows(seen)] == ["failed", "failed", "done"]


def test_a_row_that_fails_after_training_leaves_the_model_and_the_rows_before(
    registry: Registry, tmp_path: Path
) -> None:
    records = run(
        registry, tmp_path, before=TINY, broken=TINY.change(sampler="late_failure"), after=TINY.change(sampling_steps=1)
    )
    assert records["before"].status == "done"
    assert records["broken"].status == "failed"
    assert "ValueError: no plan" in records["broken"].reason
    assert records["after"].status == "done", (
        "the failure of one row is not the failure of the others: " + records["after"].reason
    )
    assert Store(tmp_path).complete(tmp_path / "models" / records["before"].training_key)


def test_a_failed_row_is_tried_again_when_asked(registry: Registry, tmp_path: Path) -> None:
    store = Store(tmp_path)
    (trial,) = trials(registry, store, m=TINY)
    store.save_record(trial.rows[0].record("failed", "RuntimeError: the disk was full"))
    assert trials(registry, store, m=TINY) == []
    (again,) = trials(registry, store, retry=True, m=TINY)
    run_trial(store, again, CPU, Progress())
    found = store.record(trial.rows[0].key)
    assert found is not None
    assert found.status == "done"


def test_a_full_disk_is_no_fault_of_the_recipe(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As soon as there is room again, the same command continues."""

    def full(*_: Any) -> None:
        raise Unwritable("cannot write films.npz: no space left on device; free some space")

    with monkeypatch.context() as patched:
        patched.setattr("mgbench.trials.trial.film_files", full)
        record = run(registry, tmp_path, m=TINY)["m"]
    assert (record.status, record.tail) == ("interrupted", "")
    assert record.reason.startswith("cannot write films.npz: no space left")
    assert run(registry, tmp_path, m=TINY)["m"].status == "done"


def test_a_plugin_that_leaves_takes_its_rows_along_only(registry: Registry, tmp_path: Path) -> None:
    records = run(registry, tmp_path, gone=TINY.change(loss_weighting="misbehaves(how=leave)"), there=TINY)
    assert records["gone"].status == "failed"
    assert "SystemExit: 3" in records["gone"].reason
    assert records["gone"].tail.endswith("SystemExit: 3")
    assert "doubles.py" in records["gone"].tail, "it says where"
    assert records["there"].status == "done"


def test_when_memory_runs_out_fewer_images_are_drawn_at_once_and_they_are_the_same(
    registry: Registry, done: tuple[Path, dict[str, Record]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device with room for three images at once, after the first few."""
    root, records = done
    decode = sample.decode

    def small_device(tokenizer: Any, tokens: torch.Tensor) -> torch.Tensor:
        if len(tokens) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return decode(tokenizer, tokens)

    monkeypatch.setattr(sample, "decode", small_device)
    told: list[str] = []
    progress = Progress(lambda message: told.extend(notes([message])))
    record = run(registry, tmp_path, batch=12, progress=progress, plain=TINY)["plain"]
    halved = [note for note in told if "out of memory" in note]
    assert halved == [f"plain: out of memory; drawing {size} images at once" for size in (6, 3)]
    assert record.scores == records["plain"].scores
    assert (images(tmp_path, record) == images(root, records["plain"])).all()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate"
        ),
    ],
)
def test_memory_that_runs_out_in_training_is_told(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*_: Any) -> None:
        raise error

    monkeypatch.setattr("mgbench.stages.train.Training.advance", full)
    record = run(registry, tmp_path, m=TINY)["m"]
    assert record.status == "oom"
    assert type(error).__name__ in record.reason


LONG = TINY.change(train_steps=60)


def stop_after(step: int) -> Progress:
    """Stop when training has come to a step."""
    seen: list[int] = []

    def note(message: Message) -> None:
        seen.extend(now.done for now in stages([message], "train"))

    return Progress(note, lambda: bool(seen) and seen[-1] >= step)


@pytest.fixture(scope="module")
def uninterrupted(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Record]:
    root = tmp_path_factory.mktemp("uninterrupted")
    return root, run(registry, root, m=LONG)["m"]


@pytest.mark.parametrize("step", [20, 40, 60])
def test_a_training_that_was_stopped_goes_on_to_the_same_weights(
    registry: Registry, tmp_path: Path, uninterrupted: tuple[Path, Record], step: int
) -> None:
    with pytest.raises(Interrupted):
        run(registry, tmp_path, progress=stop_after(step), m=LONG, n=LONG.change(sampling_steps=1))
    store = Store(tmp_path)
    rows = [Row("m", assemble(registry, recipe)) for recipe in (LONG, LONG.change(sampling_steps=1))]
    stopped = [store.record(row.key) for row in rows]
    assert [record.status for record in stopped if record] == ["interrupted"] * 2
    assert (store.layout.model(rows[0].assembly.keys.training) / CHECKPOINT).exists()

    steps: list[int] = []
    progress = Progress(lambda message: steps.extend(now.done for now in stages([message], "train")))
    record = run(registry, tmp_path, progress=progress, m=LONG)["m"]
    root, whole = uninterrupted
    assert record.status == "done"
    assert steps == [done for done in (20, 40, 60) if done > step]
    assert same(weights(tmp_path, record), weights(root, whole))
    assert (images(tmp_path, record) == images(root, whole)).all()
    assert record.scores == whole.scores
    curves = [
        (each / "models" / record.training_key / "training.csv").read_text().splitlines() for each in (tmp_path, root)
    ]
    assert [line.split(",")[:3] for line in curves[0]] == [line.split(",")[:3] for line in curves[1]]
    assert not (store.layout.model(record.training_key) / CHECKPOINT).exists()


def swap_optimizer(path: Path) -> None:
    """A checkpoint whose first half is read well and whose second half is not."""
    store, folder = Store(path.parents[2]), path.parent
    content = torch.load(io.BytesIO(store.checkpoint(folder) or b""), weights_only=True)
    content["training"]["optimizer"] = {"state": {}, "param_groups": []}
    buffer = io.BytesIO()
    torch.save(content, buffer)
    store.save_checkpoint(folder, buffer.getvalue())


def test_a_checkpoint_of_another_training_is_set_aside_and_training_starts_anew(
    registry: Registry, tmp_path: Path, uninterrupted: tuple[Path, Record]
) -> None:
    with pytest.raises(Interrupted):
        run(registry, tmp_path, progress=stop_after(20), m=LONG)
    root, whole = uninterrupted
    checkpoint = tmp_path / "models" / whole.training_key / CHECKPOINT
    swap_optimizer(checkpoint)
    store = Store(tmp_path)
    run_trial(store, trials(registry, store, m=LONG)[0], CPU, Progress())
    assert checkpoint.with_name(f"{CHECKPOINT}.corrupt").exists()
    assert len([note for note in store.notes if CHECKPOINT in note]) == 1
    assert same(weights(tmp_path, whole), weights(root, whole))


def test_stopping_while_sampling_keeps_the_model_and_the_rows_that_are_done(registry: Registry, tmp_path: Path) -> None:
    rows_done: list[str] = []
    progress = Progress(lambda message: rows_done.extend(row.row for row in rows([message])), lambda: bool(rows_done))
    with pytest.raises(Interrupted):
        run(registry, tmp_path, progress=progress, a=TINY, b=TINY.change(sampling_steps=1))
    records = run(registry, tmp_path, progress=Progress(stop=lambda: True), a=TINY)
    assert records["a"].status == "done"
    stopped = Store(tmp_path).record(assemble(registry, TINY.change(sampling_steps=1)).keys.run)
    assert stopped is not None
    assert (stopped.status, stopped.reason) == ("interrupted", "stopped by the user; the same command continues")


def test_every_stage_is_told_in_its_order(registry: Registry, tmp_path: Path) -> None:
    seen: list[Message] = []
    run(registry, tmp_path, progress=Progress(seen.append), m=TINY)
    told = [one.stage if isinstance(one, StageProgress) else "row" for one in seen if not notes([one])]
    assert list(dict.fromkeys(told)) == ["encode", "train", "sample", "reference", "score", "metrics", "row"], (
        "a patch needs no fitting"
    )


def test_the_batches_of_scoring_count_up(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mgbench.stages.extract.pass_for.__defaults__", (7,))
    monkeypatch.setattr("mgbench.stages.extract.Pass.__init__.__defaults__", ((), True, 50))
    seen: list[Message] = []
    (record,) = run(registry, tmp_path, progress=Progress(seen.append), m=TINY).values()
    count = record.recipe["samples"]
    scored = [(now.done, now.total) for now in stages(seen, "score")]
    batches = math.ceil(count / 7)
    assert batches > 1
    assert scored[1:] == [(done, batches) for done in range(1, batches + 1)]
    assert {now.row for now in stages(seen, "score")} == {record.key}
    real = [(now.done, now.total) for now in stages(seen, "reference")]
    assert real[0] == (1, real[0][1])
    assert real[0][1] > 1
    assert real[real[0][1] - 1] == (real[0][1], real[0][1])


def test_stopped_while_scoring_it_scores_no_further_batch(registry: Registry, tmp_path: Path) -> None:
    seen: list[Message] = []
    progress = Progress(seen.append, lambda: bool(stages(seen, "score")))
    with pytest.raises(Interrupted):
        run(registry, tmp_path, progress=progress, m=TINY)
    assert len(stages(seen, "score")) == 1


def test_a_trial_is_told_by_its_methods_and_seed(registry: Registry, tmp_path: Path) -> None:
    trial = trials(registry, Store(tmp_path), a=TINY, b=TINY.change(sampling_steps=1))[0]
    assert trial.name == "a + b (seed 0)"
    assert replace(trial, rows=trial.rows[:1]).name == "a (seed 0)"


@pytest.mark.parametrize("distribution", ["balanced", "data", "uniform"])
def test_a_row_says_how_its_labels_were_drawn(
    registry: Registry, tmp_path: Path, distribution: LabelDistribution
) -> None:
    recipe = TINY.change(label_distribution=distribution)
    record = run(registry, tmp_path, m=recipe)["m"]
    assert f"/n20/{distribution}/" in record.protocol
    counts = assemble(registry, recipe).class_counts
    with np.load(tmp_path / "runs" / record.key / "images.npz") as kept:
        assert kept["labels"].tolist() == labels_for(torch.arange(20), counts, distribution, seed=0).tolist()


def test_rows_draw_with_the_average_that_they_ask_for(
    registry: Registry, tmp_path: Path, done: tuple[Path, dict[str, Record]]
) -> None:
    """One training for all, and of each average the images and the model that a training with only that one has."""
    both = TINY.change(ema=(0.999, 0.0))
    last = TINY.change(ema=0.0)
    store = Store(tmp_path)
    recipes = {"first": both, "said": both.change(sampling_ema=0.999), "other": both.change(sampling_ema=0)}
    assert len(trials(registry, store, **recipes)) == 1
    records = run(registry, tmp_path, **recipes)
    root, alone = done[0], done[1]["plain"]
    (tmp_path / "alone").mkdir()
    online = run(registry, tmp_path / "alone", last=last)["last"]
    drawn = {name: images(tmp_path, record) for name, record in records.items()}
    assert (drawn["first"] == images(root, alone)).all()
    assert (drawn["said"] == drawn["first"]).all()
    assert (drawn["other"] == images(tmp_path / "alone", online)).all()
    assert (drawn["other"] != drawn["first"]).any()
    assert same(weights(tmp_path, records["first"]), weights(root, alone))
    assert records["first"].key != records["other"].key
    (folder,) = (tmp_path / "models").iterdir()
    assert sorted(path.name for path in folder.glob("*.safetensors")) == ["model-0.0.safetensors", "model.safetensors"]
    assert store.complete(folder)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"sampling_ema": 0.5}, "sampling_ema=0.5 is none of the averages of the training (ema=0.999); add it there"),
        ({"accumulate": 3}, "batch_size=16 has no 3 equal parts (accumulate); change one of them"),
    ],
)
def test_settings_that_contradict_each_other_are_a_reason(
    registry: Registry, settings: dict[str, Any], reason: str
) -> None:
    assert assemble(registry, TINY.change(**settings)).unfit == reason
