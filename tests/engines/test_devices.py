"""Which devices there are to lease, and what is said where one is not."""

import os
from pathlib import Path

import pytest
import torch

from mgbench.engines import devices
from mgbench.engines.devices import check_batches, cuda_slots, groups, slots
from mgbench.errors import UserError
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.study import Study
from mgbench.registry.loading import load
from mgbench.results.store import Store
from mgbench.trials.plan import Trial, plan_rows, plan_tokenizers, plan_trials


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_a_cpu_has_a_slot_for_each_core_or_as_many_as_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2}, raising=False)
    assert slots("cpu") == ["cpu"] * 3
    assert slots("cpu:5") == ["cpu"] * 5


@pytest.mark.parametrize("cores", [4, None])
def test_a_system_that_cannot_tell_its_share_of_cores_counts_them(
    monkeypatch: pytest.MonkeyPatch, cores: int | None
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert slots("cpu") == ["cpu"] * (cores or 1)
    assert slots("cpu:2") == ["cpu"] * 2


@pytest.mark.usefixtures("gpus")
def test_every_gpu_is_a_slot() -> None:
    assert slots("auto") == slots("cuda") == cuda_slots() == ["cuda:0", "cuda:1"]
    assert slots("cuda:1") == ["cuda:1"]
    assert slots("cuda:1, cpu:2,cuda:1") == ["cuda:1", "cpu", "cpu", "cuda:1"]


@pytest.mark.usefixtures("no_gpus")
def test_without_a_gpu_auto_is_every_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cores", lambda: 3)
    assert slots("auto") == ["cpu"] * 3


@pytest.mark.usefixtures("gpus")
def test_each_trial_is_leased_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    assert groups("cuda", 1) == [("cuda:0",), ("cuda:1",)]
    assert groups("cuda", 2) == [("cuda:0", "cuda:1")]
    assert groups("cpu:5", 2) == [("cpu", "cpu"), ("cpu", "cpu")]
    with pytest.raises(UserError, match="--devices-per-trial 3 takes more devices than the 2 of --devices cuda"):
        groups("cuda", 3)


@pytest.mark.usefixtures("gpus")
@pytest.mark.parametrize(
    ("devices", "pair"), [("cuda:0,cpu:1", "cuda:0 and cpu"), ("cuda:1,cuda:1", "cuda:1 and cuda:1")]
)
def test_a_trial_is_not_leased_devices_that_cannot_work_together(devices: str, pair: str) -> None:
    with pytest.raises(UserError, match=f"--devices-per-trial 2 would lease {pair} to one trial"):
        groups(devices, 2)
    assert len(groups(devices, 1)) == 2


def planned(batch_size: int) -> list[Trial]:
    rows = plan_rows(load(), Study("s", {"m": Recipe(batch_size=batch_size)}), Store(Path("nowhere")))
    return plan_trials([*plan_tokenizers(rows, Store(Path("nowhere"))), *rows])


def test_a_batch_that_devices_cannot_share_is_refused_with_what_would_do() -> None:
    trials = planned(9)
    assert {trial.about for trial in trials} == {"tokenizer", "images"}
    check_batches(trials, 1)
    check_batches(trials, 3)
    check_batches(trials[:1], 4)
    said = (
        r"the batch_size of m \(seed 0\) is 9, which 4 devices cannot share equally; take --devices-per-trial 1 or 3, "
    )
    with pytest.raises(UserError, match=said + "or --set batch_size=12"):
        check_batches(trials, 4)


@pytest.mark.usefixtures("gpus")
@pytest.mark.parametrize("name", ["cuda:2", "gpu", "", "mps", "cpu:0", "auto:1", "cuda:"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(UserError, match=rf"cannot run on '{name}': there are cuda:0, cuda:1 and cpu"):
        slots(name)


@pytest.mark.usefixtures("no_gpus")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "gpu"])
def test_a_machine_without_a_gpu_says_so(name: str) -> None:
    assert devices.cuda_slots() == []
    with pytest.raises(UserError, match="this machine has no CUDA device; take cpu"):
        slots(name)
