"""What a run told W&B without a network is in its file, and its service ends with it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.plugins.tracked import BEST, CURVE, run_in, track

pytest.importorskip("wandb", reason="W&B is not installed")

from mgbench_plugins import wandb as plugin

BLOCK, HEADER, MAGIC = 32768, 7, 7


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.delenv("WANDB_PROJECT", raising=False)


def stored(path: Path) -> Iterator[Any]:
    """The records of a run's file: protocol buffers in the log format of LevelDB, after a head of its own."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, place, parts = path.read_bytes(), MAGIC, b""
    while place + HEADER <= len(content):
        left = BLOCK - place % BLOCK
        if left < HEADER:
            place += left
            continue
        length, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        parts += content[place + HEADER : place + HEADER + length]
        place += HEADER + length
        if kind in (1, 4):  # whole, or the last part
            record = Record()
            record.ParseFromString(parts)
            yield record
            parts = b""


def items(pairs: Any) -> dict[str, Any]:
    return {pair.key or "/".join(pair.nested_key): json.loads(pair.value_json) for pair in pairs}


def test_the_curve_the_scores_and_the_failure_can_be_read_back_and_no_process_stays(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    track(plugin, run)
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    assert not [child for child in left if child.status() != psutil.STATUS_ZOMBIE]
    (path,) = run.folder.glob("wandb/offline-run-*/run-*.wandb")
    records = list(stored(path))
    history = [items(record.history.item) for record in records if record.HasField("history")]
    assert {row["train/step"]: row["train/loss"] for row in history} == CURVE
    started = next(record.run for record in records if record.HasField("run"))
    assert (started.project, started.display_name, list(started.tags)) == ("grid", "emigm (seed 0)", ["emigm"])
    told = [record for record in records if record.HasField("summary")]
    summary = {name: value for record in told for name, value in items(record.summary.update).items()}
    assert summary[BEST] == 12.25
    assert summary["status/sampling_steps=8"] == "failed: RuntimeError: no luck"
    configured = [items(record.config.update) for record in records if record.HasField("config")]
    configured.append(items(started.config.update))
    assert any(config.get("mask_schedule") == "exp(rate=5.0)" for config in configured)
    metrics = [record.metric for record in records if record.HasField("metric")]
    assert any(metric.glob_name == "train/*" and metric.step_metric == "train/step" for metric in metrics)
