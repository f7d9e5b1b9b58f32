"""A claim is held by one process at a time, and by none that has died."""

import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mgbench.engines import locks
from mgbench.engines.locks import STALE, Holder, holder, locked
from mgbench.interfaces.progress import Interrupted


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "LOOK_EVERY", 0.01)


def never(other: Holder) -> None:
    pytest.fail(f"waited for {other}")


def write(path: Path, who: Holder, age: float = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(who)))
    os.utime(path, (time.time() - age, time.time() - age))


@pytest.fixture
def ended() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "key.json"


def test_a_claim_is_there_while_it_is_held_and_says_who_holds_it(path: Path) -> None:
    assert holder(path) is None
    with locked(path, never):
        found = holder(path)
        assert found is not None
        assert found.process == os.getpid()
        assert str(found) == f"process {os.getpid()} on {found.host}"
    assert list(path.parent.iterdir()) == []


def test_it_is_given_back_when_the_work_fails(path: Path) -> None:
    with pytest.raises(RuntimeError, match="broken"), locked(path, never):
        raise RuntimeError("broken")
    assert holder(path) is None


def test_another_waits_until_it_is_given_back_and_can_give_up(path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with locked(path, lambda other: order.append("waits")):
            order.append("second")

    with locked(path, never):
        waiting = threading.Thread(target=second)
        waiting.start()
        while "waits" not in order:
            time.sleep(0.01)
        order.append("first")

        def give_up(other: Holder) -> None:
            raise Interrupted

        with pytest.raises(Interrupted), locked(path, give_up):
            pytest.fail("two hold it")
    waiting.join(10)
    assert order[-1] == "second"
    assert order.index("first") < order.index("second")


def test_what_died_holds_nothing(path: Path, ended: int) -> None:
    write(path, replace(Holder.here(), process=ended))
    assert holder(path) is None
    with locked(path, never):
        found = holder(path)
        assert found is not None
        assert found.process == os.getpid()


def test_a_later_process_of_the_same_number_is_another(path: Path) -> None:
    write(path, replace(Holder.here(), born=Holder.here().born - 100))
    assert holder(path) is None


def test_a_process_that_lives_holds_its_claim_however_long_it_was_silent(path: Path) -> None:
    write(path, Holder.here(), age=10 * STALE)
    assert holder(path) is not None


def test_another_machine_holds_a_claim_while_it_moves_its_time_on(path: Path) -> None:
    far = replace(Holder.here(), machine="another", host="node7", process=1)
    write(path, far, age=STALE / 2)
    assert holder(path) == far
    write(path, far, age=STALE + 10)
    assert holder(path) is None
    with locked(path, never):
        pass


def test_the_time_of_a_claim_moves_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BEAT", 0.01)
    with locked(path, never):
        os.utime(path, (0, 0))
        until = time.monotonic() + 10
        while path.stat().st_mtime == 0 and time.monotonic() < until:
            time.sleep(0.01)
        assert path.stat().st_mtime > 0


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": "h"}'])
def test_what_is_no_claim_is_held_by_nobody(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert holder(path) is None
    with locked(path, never):
        assert holder(path) is not None


def test_one_that_was_taken_over_is_not_given_back_by_who_lost_it(path: Path) -> None:
    with locked(path, never):
        write(path, Holder.here())
    assert holder(path) is not None


def test_a_file_system_without_links_has_no_claims(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    with locked(path, never):
        assert holder(path) is None
    assert list(path.parent.iterdir()) == []


def hold(path: Path, log: Path) -> None:
    locks.LOOK_EVERY = 0.001
    for _ in range(20):
        with locked(path, lambda other: None):
            with log.open("a") as file:
                file.write(f"+{os.getpid()}\n")
            time.sleep(0.001)
            with log.open("a") as file:
                file.write(f"-{os.getpid()}\n")


def pairs(log: Path) -> Iterator[tuple[str, str]]:
    lines = log.read_text().split()
    yield from zip(lines[::2], lines[1::2], strict=True)


def test_never_do_two_processes_hold_it(path: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    processes = [context.Process(target=hold, args=(path, log)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    found = list(pairs(log))
    assert len(found) == 80
    assert all(first == f"+{second[1:]}" for first, second in found)
