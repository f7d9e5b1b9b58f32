import subprocess
from pathlib import Path

import pytest
import torch

import mgbench
from mgbench import environment as module
from mgbench.environment import environment

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    # No repository above the temporary folder counts.
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    module._git.cache_clear()
    return tmp_path


def git(*words: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    return subprocess.run(["git", *identity, *words], check=True, capture_output=True, text=True).stdout.strip()


def test_it_says_where_and_with_what(folder: Path) -> None:
    said = environment(CPU)
    assert said["torch"] == torch.__version__
    assert said["mgbench"] == mgbench.__version__
    assert said["threads"] == torch.get_num_threads()
    assert str(said["cpu"]) in said["device"]
    assert said["deterministic"] is False


def test_flags_are_those_in_force(folder: Path) -> None:
    torch.use_deterministic_algorithms(True)
    try:
        assert environment(CPU)["deterministic"] is True
    finally:
        torch.use_deterministic_algorithms(False)


def test_outside_a_repository_there_is_no_commit(folder: Path) -> None:
    assert "git_commit" not in environment(CPU)


def test_the_commit_and_whether_it_is_all_there_is(folder: Path) -> None:
    git("init", "-q")
    (folder / "file").write_text("one")
    git("add", "file")
    git("commit", "-qm", "one")
    said = environment(CPU)
    assert said["git_commit"] == git("rev-parse", "HEAD")
    assert said["git_dirty"] is False
    (folder / "file").write_text("two")
    module._git.cache_clear()
    assert environment(CPU)["git_dirty"] is True


def test_without_git_nothing_breaks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    assert "git_commit" not in environment(CPU)
