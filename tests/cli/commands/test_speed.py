"""`mgbench speed`: what is measured and stored, what is left out, what plans and reports make of it, and wrong words."""

import json
from pathlib import Path

import pytest
import torch

from mgbench.results.layout import Layout
from mgbench.results.maintenance.check import examine
from mgbench.results.maintenance.merge import merge
from mgbench.results.speed import stored_speeds
from mgbench.results.store import Store
from tests import doubles
from tests.cli.conftest import Command

TINY = ("tiny", "--plugins", doubles.FILE, "--rounds", "1", "--device", "cpu")
SAMPLING = {"network", "encoder", "decoder", "head", "choosing", "decoding", "other"}


def test_a_method_is_measured_stored_and_said(mgbench: Command, tmp_path: Path) -> None:
    answer = mgbench("speed", *TINY, "--batch", "4,8", "--json")
    assert answer.code == 0, answer.err
    small, large = json.loads(answer.out)
    assert [one["recipe"]["batch_size"] for one in (small, large)] == [4, 8]
    assert small["key"] != large["key"]
    costs = large["costs"]
    assert large["left_out"] == {}
    assert set(large["parts"]) == SAMPLING
    assert costs["train_images_per_second"] == pytest.approx(8 / costs["train_step_seconds"])
    rate = costs["train_flops_per_image"] * costs["train_images_per_second"]
    assert costs["train_share"] == pytest.approx(rate / costs["matrix_rate"])
    drawn = costs["flops_per_image"] / costs["seconds_per_image"]
    assert costs["sampling_share"] == pytest.approx(drawn / costs["matrix_rate"])
    assert min(costs[f"{what}_peak_memory_bytes"] for what in ("train", "sampling")) > 1e6
    assert (costs["scored_images"], costs["steps_taken"]) == (20, 2)
    assert min(costs["features_seconds_per_image"], costs["metrics_seconds"]) > 0
    assert large["origin"]["command"].startswith("mgbench speed tiny")

    layout = Layout(tmp_path / "results")
    assert {speed.key for speed in stored_speeds(layout)} == {small["key"], large["key"]}
    assert examine(layout.root).findings == []
    other = Store(tmp_path / "other")
    assert [len(merge(layout.root, other).taken.get("speed", ())) for _ in range(2)] == [2, 0]

    path = layout.speed(small["key"])
    path.write_text(path.read_text().replace('"tiny"', '"tony"'))
    (found,) = examine(layout.root).broken
    assert found.paths == (path,)
    assert [speed.key for speed in stored_speeds(layout)] == [large["key"]]


def test_tables_say_where_the_time_goes(mgbench: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    # Compiling takes minutes on a CPU; which rows are compiled is what is at stake here.
    monkeypatch.setattr(torch, "compile", lambda work, **options: work)
    answer = mgbench("speed", *TINY, "--compile")
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    for title, heads in {
        "training": ("images/s", "of matrix rate", "compile", "peak MB"),
        "sampling": ("ms/image", "encoder", "decoder", "head", "choosing", "compile"),
        "scoring": ("features ms/image", "metrics s"),
    }.items():
        start = next(place for place, line in enumerate(lines) if line.strip() == title)
        head, rows = " ".join(lines[start : start + 4]), lines[start + 4 : start + 7]
        assert all(name in head for name in heads), (title, head)
        assert [line.split()[0] for line in rows if line.strip().startswith("tiny")] == ["tiny", "tiny"]
    assert "matrix products in the same minutes" in answer.out


def test_what_cannot_be_measured_is_left_out_with_its_reason(mgbench: Command) -> None:
    broken = ("--set", "loss_weighting=raises")
    answer = mgbench("speed", *TINY, *broken, "--json")
    assert answer.code == 0, answer.err
    (found,) = json.loads(answer.out)
    assert found["left_out"]["training"] == "RuntimeError: two tensors disagree"
    assert "train_step_seconds" not in found["costs"]
    assert found["costs"]["seconds_per_image"] > 0


def test_two_methods_take_turns(mgbench: Command, tmp_path: Path) -> None:
    answer = mgbench("speed", "--compare", *TINY, "--batch", "4,16")
    assert answer.code == 0, answer.err
    head, *ratios = answer.out.splitlines()
    assert "time of tiny (batch 4, compile off) over that of tiny (batch 16, compile off), medians of 1 rounds" in head
    assert [line.split("  ")[1].strip() for line in ratios] == ["training step", "sampling"]
    content = json.loads(mgbench("speed", "--compare", *TINY, "--batch", "4,16", "--json").out)
    assert all(found["low"] <= found["value"] <= found["high"] for found in content["ratios"].values())
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("emigmm",), "no method is called 'emigmm'; did you mean 'emigm'"),
        ((*TINY, "--batch", "4,none"), "--batch 4,none is no list of numbers above 0"),
        ((*TINY, "--compare"), "--compare takes two methods at one batch, and there are 1 sides"),
        ((*TINY, "--set", "sampler=nosuch"), "no sampler is called 'nosuch'"),
        ((*TINY, "--set", "tokenizer=levels"), "tiny cannot be measured: "),
    ],
)
def test_wrong_words_are_answered(mgbench: Command, words: tuple[str, ...], sentence: str) -> None:
    answer = mgbench("speed", *words)
    assert answer.code == 2
    assert sentence in answer.err
