"""Trials of several processes each: the same images, a training like that on one device, and an end to all when one dies."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mgbench.engines.local import LocalRun
from mgbench.interfaces.engine import End, Event, Job, Leases
from mgbench.interfaces.progress import STOPPED_BY_USER, Progress
from mgbench.recipes.recipe import Recipe
from mgbench.registry.loading import load
from mgbench.registry.resolve import assemble
from mgbench.results.record import Record
from mgbench.results.store import CHECKPOINT, Store
from mgbench.trials.fit import fitted_tokenizer
from mgbench.trials.token_cache import caches_of, fill_caches
from tests.doubles import TINY
from tests.engines.test_local import SOURCES, jobs, run, statuses
from tests.messages import stages

# Random only in the labels that it drops, of which there are none here; and with a parameter that nothing uses.
EVEN = Recipe(
    process="gaussian",
    labels=False,
    tokenizer="patch(size=4)",
    train_steps=60,
    batch_size=16,
    learning_rate=0.05,
    samples=20,
    sampling_steps=2,
)


def leased(devices: int, each: int) -> LocalRun:
    return LocalRun(Leases(f"cpu:{devices}", each))


def finish(root: Path, each: int, **recipes: Recipe) -> list[Job]:
    """Run every recipe, with so many devices for each, to a good end."""
    waiting = jobs(root, **recipes)
    _, ended = run(leased(each, each), waiting)
    assert set(ended.values()) == {End()}
    assert set(statuses(root)) == {"done"}, [job.log.read_text() for job in waiting]
    return waiting


def record(root: Path) -> Record:
    (path,) = (root / "runs").iterdir()
    found = Store(root).record(path.name)
    assert found is not None
    return found


def weights(root: Path) -> dict[str, torch.Tensor]:
    (path,) = (root / "models").glob("*/model.safetensors")
    return {name: value.clone() for name, value in load_file(path).items()}


def curve(root: Path, column: str) -> list[float]:
    (path,) = (root / "models").glob("*/training.csv")
    names, *rows = [line.split(",") for line in path.read_text().splitlines()]
    return [float(row[names.index(column)]) for row in rows]


def images(root: Path) -> bytes:
    (path,) = (root / "runs").glob("*/images.npz")
    return path.read_bytes()


def counts(costs: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in costs.items() if "second" not in name and name != "peak_memory_bytes"}


def encode(root: Path, recipe: Recipe) -> None:
    """Fill the cache of tokens that trainings of a recipe read."""
    store, assembly = Store(root), assemble(load(SOURCES), recipe)
    fitted = fitted_tokenizer(store, assembly, torch.device("cpu"), Progress())
    fill_caches(caches_of(store, assembly, fitted.tokenizer), torch.device("cpu"), Progress())


def test_the_mean_of_the_ranks_gradients_is_that_of_the_whole_batch(tmp_path: Path) -> None:
    """The loss is a mean over images and draws nothing, so the weights and the losses told are those of one device; both
    read the cache of tokens, which is the same as training in memory.
    """
    for each in (1, 2):
        encode(tmp_path / str(each), EVEN)
        events, ended = run(leased(each, each), jobs(tmp_path / str(each), m=EVEN))
        assert ended == {"m": End()}
        assert statuses(tmp_path / str(each)) == ["done"]
        assert not stages(events, "encode"), "tokens are read from the cache"
    one, two = (weights(tmp_path / str(each)) for each in (1, 2))
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5)
    assert curve(tmp_path / "2", "loss") == pytest.approx(curve(tmp_path / "1", "loss"), rel=1e-4)
    assert set(curve(tmp_path / "2", "devices")) == {2}


@pytest.mark.slow
def test_two_devices_train_as_well_as_one_with_random_numbers_of_their_own(tmp_path: Path) -> None:
    for each in (1, 2):
        finish(tmp_path / str(each), each, m=EVEN.change(labels=True))
    one, two = (curve(tmp_path / str(each), "loss") for each in (1, 2))
    assert two != one
    assert two == pytest.approx(one, rel=0.05)


@pytest.mark.slow
def test_the_arithmetic_of_all_devices_is_counted(tmp_path: Path) -> None:
    for each in (1, 2):
        finish(tmp_path / str(each), each, m=TINY)
    one, two = (curve(tmp_path / str(each), "flops")[-1] for each in (1, 2))
    # How many tokens a step masks is drawn.
    assert two == pytest.approx(one, rel=0.25)


@pytest.mark.slow
@pytest.mark.parametrize("guidance", ["none", "constant(scale=2)"])
def test_images_and_their_costs_do_not_depend_on_the_number_of_devices(tmp_path: Path, guidance: str) -> None:
    # Of more than 2,048 images each rank extracts its share.
    recipe = TINY.change(
        guidance_schedule=guidance,
        sampler="ancestral_shared",
        dataset="shapes(train=2100, test=30)",
        tokenizer="patch(size=8)",
    )
    finish(tmp_path / "1", 1, m=recipe)
    for name in ("models", "tokenizers"):
        shutil.copytree(tmp_path / "1" / name, tmp_path / "3" / name)
    finish(tmp_path / "3", 3, m=recipe)
    one, three = record(tmp_path / "1"), record(tmp_path / "3")
    assert images(tmp_path / "3") == images(tmp_path / "1")
    assert three.scores == one.scores
    assert counts(three.costs) == counts(one.costs)
    assert (one.origin["devices"], three.origin["devices"]) == (1, 3)
    assert three.origin["device"] == f"3 × {one.origin['device']}"


def stop_once_it_trains(engine: LocalRun, step: int) -> Any:
    def note(event: Event) -> None:
        if any(stage.done >= step for stage in stages([event], "train")):
            engine.stop()

    return note


@pytest.mark.slow
def test_stopped_all_ranks_leave_one_checkpoint_and_go_on_to_the_same_weights(tmp_path: Path) -> None:
    recipe = TINY.change(train_steps=200)
    finish(tmp_path / "whole", 2, m=recipe)
    stopped = leased(2, 2)
    _, ended = run(stopped, jobs(tmp_path / "parts", m=recipe), stop_once_it_trains(stopped, 40))
    assert ended == {"m": End("interrupted", STOPPED_BY_USER)}
    assert statuses(tmp_path / "parts") == ["interrupted"]
    assert len(list((tmp_path / "parts").glob(f"models/*/{CHECKPOINT}"))) == 1
    events, ended = run(leased(2, 2), jobs(tmp_path / "parts", m=recipe))
    assert ended == {"m": End()}
    first = stages(events, "train")[0].done
    assert first > 40, "it goes on, and does not begin anew"
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(parts[name], value) for name, value in whole.items())
    assert curve(tmp_path / "parts", "loss") == curve(tmp_path / "whole", "loss")
    assert curve(tmp_path / "parts", "flops") == curve(tmp_path / "whole", "flops")
    assert images(tmp_path / "parts") == images(tmp_path / "whole")


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_killed_ends_its_trial_and_frees_every_device(tmp_path: Path, rank: int) -> None:
    dying = TINY.change(loss_weighting=f"at_rank(rank={rank}, weighting=kills)")
    _, ended = run(leased(2, 2), jobs(tmp_path, dying=dying, fine=TINY))
    assert ended == {
        "dying": End("failed", ("rank 1: " if rank else "") + "its process was ended by SIGKILL"),
        "fine": End(),
    }
    assert statuses(tmp_path) == ["done"], "that it died is for whoever runs the engine to record"


@pytest.mark.parametrize("how", ["exit", "segfault"])
def test_a_rank_that_leaves_without_a_word_is_not_waited_for(tmp_path: Path, how: str) -> None:
    leaving = TINY.change(loss_weighting=f"at_rank(rank=1, weighting=misbehaves(how={how}))")
    _, ended = run(leased(2, 2), jobs(tmp_path, leaving=leaving))
    said = {"exit": "ended with exit code 0", "segfault": "was ended by SIGSEGV"}[how]
    assert ended == {"leaving": End("failed", f"rank 1: its process {said}")}


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_fails_alone_is_a_failed_row_with_its_reason(tmp_path: Path, rank: int) -> None:
    failing = TINY.change(loss_weighting=f"at_rank(rank={rank}, weighting=raises)")
    (job,) = jobs(tmp_path, failing=failing)
    _, ended = run(leased(2, 2), [job])
    assert ended == {"failing": End()}
    found = record(tmp_path)
    assert found.status == "failed"
    assert found.reason == f"{'rank 1: ' * rank}RuntimeError: two tensors disagree (log: {job.log})"
    for said in (found.tail, job.log.read_text()):
        assert "doubles.py" in said, "where it was, on whichever rank"


@pytest.mark.slow
def test_a_rank_whose_loss_is_no_number_makes_that_of_the_team_none(tmp_path: Path) -> None:
    (job,) = jobs(tmp_path, m=TINY.change(loss_weighting="at_rank(rank=1, weighting=not_a_number)"))
    _, ended = run(leased(2, 2), [job])
    assert ended == {"m": End()}
    assert (record(tmp_path).status, record(tmp_path).reason) == ("diverged", "the loss became nan by step 6")


@pytest.mark.slow
def test_a_row_that_fails_everywhere_leaves_the_rows_before_and_after_it(tmp_path: Path) -> None:
    broken = TINY.change(sampler="late_failure")
    waiting = jobs(tmp_path, before=TINY, broken=broken, after=TINY.change(sampling_steps=1))
    assert len(waiting) == 1
    run(leased(2, 2), waiting)
    assert statuses(tmp_path) == ["done", "done", "failed"]
    reasons = [json.loads(path.read_text())["content"]["reason"] for path in (tmp_path / "runs").glob("*/record.json")]
    assert [reason.partition(" (")[0] for reason in reasons if reason] == ["ValueError: no plan"]


@pytest.mark.slow
def test_what_takes_too_much_memory_is_weighed_over_all_ranks(tmp_path: Path) -> None:
    hoarding = TINY.change(loss_weighting="at_rank(rank=1, weighting=misbehaves(how=hoard))")
    engine = LocalRun(Leases("cpu:2", 2, memory=2.0 * 2**30))
    _, ended = run(engine, jobs(tmp_path, hoarder=hoarding))
    assert ended["hoarder"].status == "oom"


needs_two_gpus = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="this machine has no two CUDA devices")


@pytest.mark.gpu
@needs_two_gpus
def test_two_gpus_train_one_model_and_draw_the_images_of_one(tmp_path: Path) -> None:
    recipe = TINY.change(train_steps=60)
    for devices, each in (("cuda:0,cuda:1", 2), ("cuda:1", 1)):
        _, ended = run(LocalRun(Leases(devices, each)), jobs(tmp_path / str(each), m=recipe))
        assert ended == {"m": End()}
        assert record(tmp_path / str(each)).status == "done", record(tmp_path / str(each)).reason
        if each == 2:
            shutil.copytree(tmp_path / "2" / "models", tmp_path / "1" / "models")
    one, two = record(tmp_path / "1"), record(tmp_path / "2")
    assert (one.origin["devices"], two.origin["devices"]) == (1, 2)
    assert counts(two.costs) == counts(one.costs)
    assert images(tmp_path / "2") == images(tmp_path / "1")


@pytest.mark.gpu
@needs_two_gpus
def test_a_gpu_that_dies_with_its_rank_is_told_and_the_trial_ends(tmp_path: Path) -> None:
    dying = TINY.change(loss_weighting="at_rank(rank=1, weighting=kills)")
    _, ended = run(LocalRun(Leases("cuda:0,cuda:1", 2)), jobs(tmp_path, dying=dying))
    assert ended == {"dying": End("failed", "rank 1: its process was ended by SIGKILL")}
