"""A trial on a node, without the cluster around it: beside the results folder, and in a folder of its own."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mgbench.engines.ray.file_sync import SyncedFile, pack, read_by, unpack
from mgbench.engines.ray.node import NodeMessage, OnNode, Setting, code_hash, file_hash
from mgbench.interfaces.engine import End, Job, Leases, RowEnded, StageProgress
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.source import Source
from mgbench.results.files import write_text
from mgbench.results.record import load_record
from mgbench.results.store import CHECKPOINT, Store
from tests import doubles
from tests.doubles import TINY
from tests.engines.test_local import SOURCES, jobs

LEASES = Leases("cpu:1")


@pytest.fixture(autouse=True)
def _in_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.chdir(tmp_path)


def node() -> OnNode:
    return OnNode(lambda content: content, lambda content: content)


def job(root: Path, recipe: Recipe) -> Job:
    (found,) = jobs(root, one=recipe)
    return found


def told(at: OnNode, root: Path, note: Callable[[NodeMessage], None] = lambda item: None) -> Iterator[NodeMessage]:
    """All that a node tells, the files written where the command runs."""
    while True:
        for item in at.drain():
            if isinstance(item, SyncedFile):
                unpack(root, [item], lambda content: content)
            note(item)
            yield item
            if isinstance(item, End):
                return


def setting(root: Path, sources: tuple[Source, ...] = SOURCES) -> Setting:
    write_text(root / ".shared", "secret")
    return Setting(Path.cwd(), code_hash(sources), sources, root / ".shared", "secret")


def test_who_reads_what_was_written_shares_the_folder(tmp_path: Path) -> None:
    known, files = setting(tmp_path), [file_hash(Path(doubles.FILE))]
    there = node().inspect(known, files)
    assert (there.same_code, there.shared, there.lacks) == (True, True, ())
    assert not node().inspect(replace(known, secret="that of another folder"), files).shared
    assert not node().inspect(replace(known, token=tmp_path / "elsewhere"), files).shared
    assert not node().inspect(replace(known, token=None), files).shared
    assert not node().inspect(replace(known, code="another version"), files).same_code


def test_a_plugin_file_that_is_not_there_or_another_is_lacking(tmp_path: Path) -> None:
    gone = Source("gone", str(tmp_path / "gone.py"))
    place = node().inspect(setting(tmp_path, (*SOURCES, gone)), ["another", "known elsewhere"])
    assert place.lacks == (*SOURCES, gone)


def test_it_works_where_the_command_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = setting(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    node().inspect(known, [""])
    assert Path.cwd() == tmp_path
    node().inspect(replace(known, folder=tmp_path / "not there"), [""])
    assert Path.cwd() == tmp_path


def test_in_a_folder_of_its_own_it_sends_all_that_is_new_and_leaves_nothing(tmp_path: Path) -> None:
    root = tmp_path / "results"
    done, at = job(root, TINY), node()
    at.start(done, LEASES, [], [])
    items = list(told(at, root))
    row = next(item.row for item in items if isinstance(item, RowEnded))
    assert items[-1] == End()
    record = Store(root).record(row)
    assert record
    assert record.status == "done"
    assert Store(root).complete(root / "models" / done.key)
    assert done.log.is_file()
    assert not list((tmp_path / "temporary").glob("mgbench-*"))
    files = [item.path for item in items if isinstance(item, SyncedFile)]
    assert files.index(f"runs/{row}/record.json") < items.index(RowEnded(row, "done"))


def test_a_reason_names_the_log_that_is_read(tmp_path: Path) -> None:
    root = tmp_path / "results"
    failed, at = job(root, TINY.change(loss_weighting="raises")), node()
    at.start(failed, LEASES, [], [])
    said = next(item for item in told(at, root) if isinstance(item, RowEnded))
    (path,) = root.glob("runs/*/record.json")
    assert load_record(path).reason == said.reason == f"RuntimeError: two tensors disagree (log: {failed.log})"


def test_stopped_it_sends_a_checkpoint_from_which_another_node_goes_on(tmp_path: Path) -> None:
    root = tmp_path / "results"
    stopped, at = job(root, TINY.change(loss_weighting="slow(0.01)", train_steps=200)), node()
    at.start(stopped, LEASES, [], [])

    def stop_in_training(item: NodeMessage) -> None:
        if isinstance(item, StageProgress) and item.stage == "train":
            at.stop()

    assert list(told(at, root, stop_in_training))[-1].status == "interrupted"  # type: ignore[union-attr]
    assert (root / "models" / stopped.key / CHECKPOINT).is_file()
    assert [load_record(path).status for path in root.glob("runs/*/record.json")] == ["interrupted"]

    other = node()
    other.start(stopped, LEASES, pack(root, read_by(stopped), lambda content: content), [])
    items = list(told(other, root))
    steps = [item.done for item in items if isinstance(item, StageProgress) and item.stage == "train"]
    assert steps[0] > 20, "it goes on"
    assert steps[-1] == 200
    assert items[-1] == End()
    assert not (root / "models" / stopped.key / CHECKPOINT).exists(), "nothing is left of the way"


def test_killed_it_ends_at_once(tmp_path: Path) -> None:
    endless, at = job(tmp_path, TINY.change(loss_weighting="slow(0.01)", train_steps=10**6)), node()
    at.start(endless, LEASES, None, [])

    def kill_in_training(item: NodeMessage) -> None:
        if isinstance(item, StageProgress) and item.stage == "train":
            at.kill()

    assert list(told(at, tmp_path, kill_in_training))[-1] == End("interrupted", "its process was ended by SIGKILL")
    assert not list(tmp_path.glob(f"models/*/{CHECKPOINT}"))


def test_a_plugin_file_goes_along(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    shutil.copy(doubles.FILE, theirs / "doubles.py")
    plugin = pack(theirs, [theirs / "doubles.py"], lambda content: content)
    lacking = replace(job(tmp_path, TINY), sources=(replace(SOURCES[0], target=str(theirs / "doubles.py")),))
    shutil.rmtree(theirs)
    at = node()
    at.start(lacking, LEASES, None, plugin)
    assert list(told(at, tmp_path))[-1] == End()
    assert not list((tmp_path / "temporary").iterdir())
