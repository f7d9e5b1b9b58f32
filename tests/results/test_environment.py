import json
import platform
import subprocess
from importlib.metadata import Distribution
from pathlib import Path

import pytest
import torch

import mgbench
from mgbench.results import environment as module
from mgbench.results.environment import environment, packages, together

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
    assert said["host"] == platform.node()
    assert said["threads"] == torch.get_num_threads()
    assert str(said["cpu"]) in said["device"]
    assert said["deterministic"] is False
    assert said["devices"] == 1


def test_devices_of_one_name_are_counted_and_others_named() -> None:
    assert together(["A"]) == {"device": "A", "devices": 1}
    assert together(["A", "A"]) == {"device": "2 × A", "devices": 2}
    assert together(["A", "B", "A"]) == {"device": "2 × A, B", "devices": 3}


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


class Installed(Distribution):
    """A distribution that was installed from somewhere."""

    def __init__(self, name: str, version: str = "1.0", origin: object = None) -> None:
        self.texts = {"METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"}
        if origin is not None:
            self.texts["direct_url.json"] = origin if isinstance(origin, str) else json.dumps(origin)

    def read_text(self, filename: str) -> str | None:
        return self.texts.get(filename)

    def locate_file(self, path: object) -> Path:
        return Path(str(path))


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        (None, "some==1.0"),
        ("{cut short", "some==1.0"),
        ("[1]", "some==1.0"),
        ({"dir_info": {}}, "some==1.0"),
        ({"url": "file:///home/me/some", "dir_info": {"editable": True}}, "some @ file:///home/me/some  # editable"),
        ({"url": "file:///home/me/some", "dir_info": {}}, "some @ file:///home/me/some"),
        (
            {"url": "https://me:secret@host.org/some.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "some @ git+https://host.org/some.git@abc",
        ),
        (
            {"url": "ssh://git@host.org/some.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "some @ git+ssh://git@host.org/some.git@abc",
        ),
        (
            {"url": "https://token@host.org:8443/some.whl?key=secret#sha256=1", "archive_info": {}},
            "some @ https://host.org:8443/some.whl",
        ),
    ],
)
def test_a_package_is_told_with_its_version_or_where_it_is_from(
    monkeypatch: pytest.MonkeyPatch, origin: object, said: str
) -> None:
    monkeypatch.setattr(module, "distributions", lambda: [Installed("some", origin=origin)])
    assert packages() == (said,)


def test_packages_are_sorted_and_the_first_on_the_path_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Installed("Zeta"), Installed("some_thing", "2"), Installed("alpha"), Installed("Some-Thing", "1")]
    monkeypatch.setattr(module, "distributions", lambda: found)
    assert packages() == ("alpha==1.0", "some_thing==2", "Zeta==1.0")


def test_what_is_installed_here_is_told() -> None:
    assert f"torch=={torch.__version__}".partition("+")[0] in {line.partition("+")[0] for line in packages()}


def test_gpus_are_told_by_number_and_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["H100", "H100", "A100"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(names))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: names[torch.device(device).index or 0])
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: type("Properties", (), {"total_memory": 80 * 2**30})
    )
    said = environment(torch.device("cuda", 2))
    assert (said["device"], said["gpus"], said["gpu_names"]) == ("A100", 3, ["H100", "A100"])
