"""Trials on a real Ray cluster of two nodes, of which one is lost in the middle: the table is that of an undisturbed run."""

import re
import socket
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from mgbench.engines.local import LocalRun
from mgbench.engines.ray import engine as engine
from mgbench.engines.ray.engine import Ray
from mgbench.errors import UserError
from mgbench.interfaces.engine import End, Event, Leases
from mgbench.interfaces.progress import STOPPED_BY_USER
from mgbench.results.layout import Layout
from mgbench.results.record import load_record
from mgbench.results.store import Store
from tests.doubles import TINY
from tests.engines.ray_cluster import Nodes, cluster
from tests.engines.test_local import jobs, run
from tests.messages import at, notes

pytestmark = pytest.mark.slow

SLOW = TINY.change(loss_weighting="slow(0.05)", train_steps=100)
STUDY = {
    "first": SLOW,
    "second": SLOW.change(batch_size=8),
    "raising": TINY.change(loss_weighting="raises"),
    "crashing": TINY.change(loss_weighting="misbehaves(how=segfault)"),
}
ENDS = {
    "first": End(),
    "second": End(),
    "raising": End(),
    "crashing": End("failed", "its process was ended by SIGSEGV"),
}
WELL = ("first", "second")
# What differs between two runs of the same: how long things took, how much memory was in use, where and when.
MEASURED = ("seconds", "per_second", "memory", "utilisation")


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with cluster() as started:
        yield started


def table(root: Path) -> list[dict[str, Any]]:
    """All that was recorded, but for times and where it was made."""
    rows = []
    for path in sorted(root.glob("runs/*/record.json")):
        assert Store(root).record(path.parent.name), "whole, with the files beside it"
        content = asdict(load_record(path))
        del content["origin"], content["files"]
        content["reason"] = content["reason"].replace(str(root), "ROOT")
        # A node may have imported the package from the folder of the tests, this process from where it is installed.
        content["tail"] = re.sub(r'File "[^"]*/(?=mgbench/)', 'File "', content["tail"])
        content["costs"] = {
            name: cost for name, cost in content["costs"].items() if not any(part in name for part in MEASURED)
        }
        rows.append(content)
    return rows


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    root = tmp_path_factory.mktemp("undisturbed")
    _, ended = run(LocalRun(Leases("cpu:2")), jobs(root, **STUDY))
    assert ended == ENDS
    return table(root)


def test_a_node_is_lost_and_the_table_is_that_of_an_undisturbed_run(
    nodes: Nodes, tmp_path: Path, undisturbed: list[dict[str, Any]]
) -> None:
    training: set[str] = set()

    def lose_one_when_both_train(event: Event) -> None:
        if at(event, "train") and event.job.name.split()[0] in WELL:
            training.add(event.job.name)
            if len(training) == 2 and len(nodes.working) == 2:
                nodes.lose_one()

    nodes.complete()
    waiting = jobs(tmp_path, **{name: STUDY[name] for name in WELL})
    events, ended = run(Ray(nodes.address).open(Leases()), waiting, lose_one_when_both_train)
    assert len(nodes.working) == 1
    assert ended == dict.fromkeys(WELL, End())
    told = notes(events)
    assert any("its node was lost" in note and "it is started again on another" in note for note in told)
    assert table(tmp_path) == [row for row in undisturbed if row["method"] in WELL]
    assert not list(tmp_path.glob(".*")), "what showed that the folder is shared is gone"


def test_without_a_shared_folder_all_comes_back(
    nodes: Nodes, tmp_path: Path, undisturbed: list[dict[str, Any]]
) -> None:
    nodes.complete()
    waiting = jobs(tmp_path, endless=SLOW.change(train_steps=10**6), **STUDY)
    stopped, going_on = Ray(nodes.address, shared=False).open(Leases()), {job.key for job in waiting}

    def stop_when_only_the_endless_one_trains(event: Event) -> None:
        if event.end:
            going_on.discard(event.job.key)
        if len(going_on) == 1 and at(event, "train"):
            stopped.stop()

    _, ended = run(stopped, waiting, stop_when_only_the_endless_one_trains)  # type: ignore[arg-type]
    assert ended.pop("endless") == End("interrupted", STOPPED_BY_USER)
    assert ended == ENDS
    assert [row for row in table(tmp_path) if row["method"] != "endless"] == undisturbed
    endless = next(job for job in waiting if job.name.startswith("endless"))
    assert Store(tmp_path).checkpoint(Layout(tmp_path).model(endless.key))
    logs = {job.name.split()[0]: job.log.read_text() for job in waiting}
    assert "RuntimeError: two tensors disagree" in logs["raising"]
    assert "Fatal Python error: Segmentation fault" in logs["crashing"]


def test_an_address_at_which_nothing_answers_is_said_in_bounded_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "PATIENCE", 3.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(UserError, match=f"no Ray cluster answers at '{address}'"):
            Ray(address).open(Leases())
