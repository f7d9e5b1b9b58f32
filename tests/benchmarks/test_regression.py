"""What is slower than before fails, noise does not, and each side imports its own code."""

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks import regression


def times(monkeypatch: pytest.MonkeyPatch, seconds: Callable[[Path, int], float]) -> int:
    """The exit code where a run of a side takes so many seconds; its number among the runs is given too."""
    number = itertools.count()

    @contextmanager
    def checked_out(commit: str) -> Iterator[Path]:
        yield Path("there")

    monkeypatch.setattr(regression, "git", lambda *words: "abc1234")
    monkeypatch.setattr(regression, "checked_out", checked_out)
    monkeypatch.setattr(regression, "speeds", lambda side, *rest: {"emigm step": [seconds(side, next(number))]})
    return regression.main(["--rounds", "6"])


def test_a_slower_commit_fails_and_an_equal_one_does_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert times(monkeypatch, lambda side, number: 1.0 if side == Path("there") else 1.3) == 1
    assert "emigm step" in capsys.readouterr().out
    assert times(monkeypatch, lambda side, number: 1.0 if side == Path("there") else 1.1) == 0
    assert times(monkeypatch, lambda side, number: 1.3 if side == Path("there") else 1.0) == 0
    # Every other run of both sides takes twice as long: the medians may be apart by chance, and the interval says so.
    noise = [1, 2, 1, 1, 2, 1, 2, 2, 1, 2, 1, 1]
    assert times(monkeypatch, lambda side, number: float(noise[number])) == 0


def test_each_side_imports_its_own_package_and_plugins(tmp_path: Path) -> None:
    for folder in ("mgbench", "plugins"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text(f"HERE = {folder!r}")
    with regression.importable(tmp_path) as environment:
        code = "import mgbench, mgbench_plugins; print(mgbench.HERE, mgbench_plugins.HERE)"
        said = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=tmp_path
        )
    assert said.stdout.split() == ["mgbench", "plugins"], said.stderr
