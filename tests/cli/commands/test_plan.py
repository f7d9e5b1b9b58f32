"""`mgbench plan`: the fields that vary, what is there already, how long it may take, and all of it as JSON."""

import json
from pathlib import Path

import pytest

from mgbench.cli.commands.plan import COUNTED_ROWS
from mgbench.cli.forecast import rates
from mgbench.cli.forecast.estimates import stored_rates
from mgbench.cli.output.as_json import plain
from mgbench.results.record import Record
from mgbench.results.speed import Speed, save_speed
from mgbench.results.store import Store
from tests import doubles
from tests.cli.conftest import Command

OPTIONS = ("--plugins", doubles.FILE, "--methods", "tiny", "--set", "train_steps=100", "--set", "batch_size=10")
VARIED = (*OPTIONS, "--vary", "loss_weighting=uniform,elbo", "--vary", "sampling_steps=4,8", "--set", "samples=50")


@pytest.fixture
def counted_rows() -> int:
    """Here costs are counted as they are for users."""
    return COUNTED_ROWS


def test_the_fields_that_vary_have_columns(mgbench: Command) -> None:
    answer = mgbench("plan", *VARIED, "--no-costs")
    assert answer.code == 0, answer.err
    head, *rows = [line.split() for line in answer.out.splitlines() if line.strip().startswith(("method", "tiny"))]
    assert head == ["method", "loss_weighting", "steps", "seed", "model", "what", "happens"]
    assert [row[:3] for row in rows] == [["tiny", name, steps] for name in ("uniform", "elbo") for steps in "48"]
    assert "no time estimate: there are no similar stored rows" in answer.out


def test_options_that_vary_have_columns(mgbench: Command) -> None:
    answer = mgbench(
        "plan", *OPTIONS, "--vary", "tokenizer.size=2,4", "--set", "sampling_steps=2", "--no-costs", "--json"
    )
    assert answer.code == 0, answer.err
    found = {(row["about"], row["fields"]["tokenizer.size"]) for row in json.loads(answer.out)["rows"]}
    assert found == {(about, size) for about in ("images", "tokenizer") for size in (2, 4)}


def stored_row(store: Store, spelled: dict[str, object], steps: int, **costs: float) -> None:
    origin = {"device": "a core", "started": "2026-01-01T00:00:00+00:00", "finished": "2026-01-01T00:00:30+00:00"}
    recipe = {**spelled, "sampling_steps": steps, "samples": 100}
    key = f"row{steps}{spelled.get('network')}"[:12].replace("(", "_")
    store.save_record(Record(key, "model", "tiny", "done", recipe, costs=costs, origin=origin))


@pytest.fixture
def spelled(mgbench: Command) -> dict[str, object]:
    from mgbench.recipes.study import Study
    from mgbench.registry.loading import find, load
    from mgbench.trials.plan import plan_rows
    from tests.doubles import TINY

    return plan_rows(load([find(doubles.FILE)]), Study("s", {"tiny": TINY}), Store(Path("results")))[0].spelled


def test_times_are_estimated_from_rows_alike_and_the_source_is_said(
    mgbench: Command, tmp_path: Path, spelled: dict[str, object]
) -> None:
    store = Store(tmp_path / "results")
    stored_row(store, spelled, 4, seconds_per_image=0.2, train_images_per_second=50.0)
    content = json.loads(mgbench("plan", *VARIED, "--json").out)
    trials = [trial for trial in content["trials"] if trial["source"]]
    assert len(trials) == 2
    # 1,000 images at 50 a second; 50 images at 0.2 s and 50 at twice the steps; 30 s a row, 20 of which were sampling.
    for trial in trials:
        assert trial["seconds"] == {"train": 20.0, "sample": 30.0, "score": 20.0, "total": 70.0}
        assert trial["source"] == "1 stored row of the same network, head, tokenizer and data, on a core"
    answer = mgbench("plan", *VARIED)
    assert "tiny (seed 0): about 70 s (train 20 s, sample 30 s, score 20 s)" in answer.out
    assert "about 2 min of one device in all, estimated from 1 stored row of the same network" in answer.out


def test_rows_with_other_options_serve_where_there_are_no_nearer_ones(
    mgbench: Command, tmp_path: Path, spelled: dict[str, object]
) -> None:
    name = str(spelled["head"]).partition("(")[0]
    stored_row(Store(tmp_path / "results"), {**spelled, "head": f"{name}(other=1)"}, 8, seconds_per_image=1.0)
    (trial,) = [
        t
        for t in json.loads(mgbench("plan", *OPTIONS, "--vary", "sampling_steps=8", "--no-costs", "--json").out)[
            "trials"
        ]
        if t["source"]
    ]
    assert trial["source"].startswith("1 stored row of the same components with other options")
    assert trial["seconds"]["train"] is None, "no rate of training is stored"
    assert trial["seconds"]["total"] is None


def speed_of(spelled: dict[str, object], device: str, batch: int = 10, **costs: float) -> Speed:
    origin = {"device": f"{device} (1 thread)"}
    recipe = {**spelled, "batch_size": batch}
    return Speed(f"{device}{batch}".replace(" ", ""), "tiny", recipe, costs, origin=origin)


def test_times_are_estimated_from_measured_speeds_of_this_device_by_operations(
    mgbench: Command, tmp_path: Path, spelled: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "device_at_hand", lambda: "a core (2 threads)")
    layout = Store(tmp_path / "results").layout
    scored = {"metrics_seconds": 3.0, "features_seconds_per_image": 0.02}
    drawn = {"seconds_per_image": 0.2, "flops_per_image": 1e6}
    save_speed(layout, speed_of(spelled, "a core", train_images_per_second=50.0, **drawn, **scored))
    save_speed(layout, speed_of(spelled, "a core", 64, train_images_per_second=90.0, **drawn, **scored))
    save_speed(layout, speed_of(spelled, "a GPU", train_images_per_second=5e4, seconds_per_image=1e-4))
    content = json.loads(mgbench("plan", *VARIED, "--json").out)
    for trial in (trial for trial in content["trials"] if trial["source"]):
        flops = [row["flops_per_image"] for row in trial["costs"]["rows"].values()]
        # 1,000 images at 50 a second, the rate of the nearest batch; two rows of 50 images.
        assert trial["seconds"]["train"] == 20.0
        assert trial["seconds"]["sample"] == pytest.approx(50 * 0.2 * sum(flops) / 1e6)
        assert trial["seconds"]["score"] == pytest.approx(2 * (3.0 + 50 * 0.02))
        assert trial["source"] == "mgbench speed tiny, on a core"
    # Without counts, in proportion to steps: 4 and 8 of them, where 2 took 0.2 s.
    (first, _) = [t for t in json.loads(mgbench("plan", *VARIED, "--no-costs", "--json").out)["trials"] if t["source"]]
    assert first["seconds"]["sample"] == pytest.approx(50 * (0.4 + 0.8))


def test_nothing_stored_gives_no_rates(tmp_path: Path) -> None:
    assert not stored_rates(Store(tmp_path).layout).exact


def test_json_holds_no_number_that_is_none() -> None:
    import numpy as np
    import pandas as pd

    content = {
        "a": float("nan"),
        1: (np.float64("inf"), np.int64(3), True),
        "p": Path("x"),
        "n": pd.NA,
    }
    assert plain(content) == {"a": None, "1": [None, 3, True], "p": "x", "n": None}


def test_the_costs_of_a_released_size_need_neither_data_nor_weights(mgbench: Command) -> None:
    folder = ("--set", "dataset=image_folder(path=/nowhere/imagenet)")
    content = json.loads(mgbench("plan", "--methods", "emigm-xs-256,emigm-xs-256-128steps", *folder, "--json").out)
    (trial,) = content["trials"]
    costs = trial["costs"]
    assert (costs["parameters"], costs["tokens"], costs["numbers"]) == (69_018_848, 256, 16)
    assert [(row["steps_taken"], row["nfe"]) for row in costs["rows"].values()] == [(16, 19), (128, 181)]
    assert costs["training_flops"] == pytest.approx(1_000_800 * 1024 * costs["training_flops_per_image"])
    assert costs["sampling_flops"] == pytest.approx(
        50_000 * sum(row["flops_per_image"] for row in costs["rows"].values())
    )
    assert costs["training_bytes"] == 20 * 69_018_848
    assert "1,281,167 images of 256x256 in 1,000 classes" in costs["assumed"]
    assert trial["seconds"]["total"] > 0
    assert "measured now" in trial["source"]
    said = mgbench("plan", "--methods", "emigm-xs-256", *folder, "--assume", "classes=10,images=1000")
    assert said.code == 0
    # A thousand classes of 448 numbers each are 990 fewer.
    assert f"{(69_018_848 - 990 * 448) / 1e6:.2f} M parameters" in said.out
    assert "1,000 images of 256x256 in 10 classes" in said.out
    assert "nothing of this can run yet: image_folder: there is no folder" in said.err


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("clases=3", "did you mean 'classes'"),
        ("images=0", "needs a number above 0; write for example --assume images=1000"),
        ("side", "needs a number"),
    ],
)
def test_what_is_assumed_wrongly_is_said(mgbench: Command, given: str, sentence: str) -> None:
    answer = mgbench("plan", *OPTIONS, "--set", "sampling_steps=2", "--assume", given)
    assert answer.code == 2
    assert sentence in answer.err


def gpu(folder: Path, name: str) -> Path:
    (folder / "0000:01:00.0").mkdir(parents=True)
    (folder / "0000:01:00.0" / "information").write_text(f"Model: \t\t {name}\nIRQ: 12\n")
    return folder


def test_rates_are_of_the_device_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "GPUS", gpu(tmp_path, "NVIDIA H200"))
    stated = rates.flop_rates([])
    assert stated.train == pytest.approx(0.3 * 989.4e12)
    assert "30% of the peak that the maker of the NVIDIA H200 states, which is an assumption" in stated.source
    costs = {"train_flops": 8e15, "train_seconds": 20.0, "flops_per_image": 6e12, "seconds_per_image": 0.03}
    on = [Record(f"r{i}", "m", "x", "done", {}, costs=costs, origin={"device": "NVIDIA H200"}) for i in range(3)]
    elsewhere = Record("e", "m", "x", "done", {}, costs=costs, origin={"device": "2 × NVIDIA H200"})
    stored = rates.flop_rates([*on, elsewhere])
    assert (stored.train, stored.sample) == (4e14, 2e14)
    assert "400 TFLOP/s and 200 TFLOP/s in training and sampling, the medians of 3 stored rows" in stored.source
