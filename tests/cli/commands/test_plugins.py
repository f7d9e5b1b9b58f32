"""`mgbench plugins` says of every installed plugin whether it loads, and why not; broken ones leave the others working."""

import json
from pathlib import Path

import pytest

from mgbench.registry import loading
from tests.cli.conftest import Command

PART = """
from dataclasses import dataclass
from mgbench import hookimpl
@dataclass(frozen=True)
class Power:
    p: float = 2.0
    def __call__(self, t):
        return t**self.p
@hookimpl
def mgbench_mask_schedules():
    return {"NAME": Power}
"""

# Text of the module, and a word of the reason.
BROKEN = {
    "syntax": (PART + "def broken(:\n", "SyntaxError"),
    "dependency": ("import a_package_that_nobody_has\n" + PART, "No module named 'a_package_that_nobody_has'"),
    "misspelt": (PART.replace("mask_schedules", "mask_shcedules"), "mgbench_mask_shcedules"),
    "argument": (PART.replace("mask_schedules()", "mask_schedules(registry)"), "registry"),
    "clash": (PART.replace("NAME", "linear"), "both offer 'linear'"),
    "raising": (PART.replace("return {", "raise RuntimeError('no luck') or {"), "no luck"),
    "returning": (PART.replace('return {"NAME": Power}', "return [Power]"), "should return a dict"),
    "unfrozen": (PART.replace("(frozen=True)", ""), "write @dataclass(frozen=True)"),
    "version": (PART, "needs mgbench>=99, and this is mgbench"),
}
SLOW = "import time\ntime.sleep(0.3)\n" + PART


@pytest.fixture
def ten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Ten distributions beside one that works, each with a plugin: the reasons by plugin."""
    site = tmp_path / "site"
    modules = {name: text for name, (text, _) in BROKEN.items()} | {"slow": SLOW, "sound": PART}
    for name, text in modules.items():
        about = site / f"ten_{name}-1.0.dist-info"
        about.mkdir(parents=True)
        (site / f"ten_{name}.py").write_text(text.replace("NAME", f"ten_{name}"))
        needs = "Requires-Dist: mgbench>=99\n" if name == "version" else "Requires-Dist: mgbench\n"
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: ten-{name}\nVersion: 1.0\n{needs}")
        (about / "entry_points.txt").write_text(f"[mgbench]\nten_{name} = ten_{name}\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(loading, "SLOW_IMPORT", 0.25)
    return {f"ten_{name}": reason for name, (_, reason) in BROKEN.items()}


def test_ten_bad_plugins_are_told_with_their_reasons_and_leave_the_rest_working(
    mgbench: Command, ten: dict[str, str]
) -> None:
    answer = mgbench("plugins", "--json")
    rows = {row["name"]: row for row in json.loads(answer.out)}
    assert answer.code == 1
    assert {name for name, row in rows.items() if row["problem"]} == set(ten)
    for name, reason in ten.items():
        assert name in rows[name]["problem"]
        assert reason in rows[name]["problem"]
    assert "import heavy packages inside the functions" in rows["ten_slow"]["note"]
    assert not rows["ten_sound"]["note"]
    listed = json.loads(mgbench("list", "mask_schedule", "--json").out)
    names = {row["name"] for row in listed["components"]}
    assert {"ten_slow", "ten_sound", "linear", "exp"} <= names
    assert not {f"ten_{name}" for name in BROKEN} & names
    assert mgbench("diff", "emigm", "maskgit").code == 0


def test_a_file_that_is_asked_for_takes_the_place_of_its_installed_module(
    mgbench: Command, ten: dict[str, str]
) -> None:
    Path("ten_sound.py").write_text(PART.replace("NAME", "ten_sound").replace("2.0", "3.0"))
    answer = mgbench("list", "mask_schedule", "--plugins", "ten_sound.py")
    assert answer.code == 0
    assert "ten_sound(p=3.0)" in answer.out
