"""Results belong to the code that made them: the fingerprint follows what a component reaches, and nothing else."""

import importlib
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from mgbench.recipes import definitions, fingerprint, modules, normal
from mgbench.recipes.normal import Node

PART = '''"""A schedule."""
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from .helper import double

if TYPE_CHECKING:
    from .kinds import Time

SHIFT = 1

@dataclass(frozen=True)
class Part:
    """Twice."""
    rate: float = 2.0

    def __call__(self, t: "Time") -> float:
        """Do it."""
        # And say so.
        if t < 0:
            raise ValueError("t is below 0")
        return double(t) + SHIFT + torch.pi

    def check(self):
        return self.rate

def beside(x):
    return x
'''
HELPER = "from .deeper import two\n\ndef double(x):\n    return two() * x\n\ndef unused():\n    return 7\n"
FILES = {
    "__init__.py": "",
    "part.py": PART,
    "helper.py": HELPER,
    "deeper.py": "def two():\n    return 2\n",
    "unrelated.py": "x = 1\n",
    "kinds.py": "Time = float\n",
}
USE = "return double(t) + SHIFT + torch.pi"

_numbers = count()


def forget() -> None:
    """As a fresh process would begin."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("stranger", "strangers")]:
        del sys.modules[name]
    for module in (modules, normal, definitions, fingerprint):
        for cached in vars(module).values():
            if hasattr(cached, "cache_clear"):
                cached.cache_clear()
    importlib.invalidate_caches()


@pytest.fixture
def fingerprinted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """The fingerprint of `Part` in a package of the files above with some changed, as a fresh process would see it."""

    def make(changed: dict[str, str] | None = None, module: str = "stranger.part", cut: tuple[str, ...] = ()) -> str:
        forget()
        root = tmp_path / str(next(_numbers))
        files = {
            (name if "/" in name else f"stranger/{name}"): text for name, text in {**FILES, **(changed or {})}.items()
        }
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        monkeypatch.syspath_prepend(str(root))
        return fingerprint.reached((Node(module, "Part"),), frozenset(cut)).code

    yield make
    forget()


SAME = {
    "a docstring of the file": PART.replace('"""A schedule."""\n', ""),
    "a docstring": PART.replace("Twice.", "Two times."),
    "a comment": PART.replace("        # And say so.\n", "        # Or not.\n"),
    "layout": PART.replace("rate: float = 2.0", "rate:  float  =  (\n        2.0\n    )"),
    "no docstring": PART.replace('        """Do it."""\n', "\n\n"),
    "empty lines": PART.replace("\n\n", "\n\n\n"),
    "a function that nothing calls": PART.replace("return x", "return x + 1"),
    "another one": PART + "\ndef more():\n    return 1\n",
    "a constant that nothing reads": PART + "\nOTHER = 3\n",
    "the type of an argument": PART.replace('t: "Time"', "t: float"),
    "what an error says": PART.replace("t is below 0", "t lies below 0"),
    "the same import otherwise": PART.replace("import torch\n", "from torch import pi\n").replace("torch.pi", "pi"),
    "a module for a name": PART.replace("from .helper import double", "from . import helper").replace(
        "double(t)", "helper.double(t)"
    ),
    "an absolute import": PART.replace("from .helper", "from stranger.helper"),
    "an import inside": PART.replace("from .helper import double\n", "").replace(
        USE, f"from .helper import double\n        {USE}"
    ),
    "another name of an import": PART.replace("import double", "import double as d").replace("double(t)", "d(t)"),
    "a type that is not imported any more": PART.replace("    from .kinds import Time\n", "    pass\n"),
    "a local name like one at the top": PART.replace("return x\n", "SHIFT = 2\n    return SHIFT\n"),
}


@pytest.mark.parametrize("what", SAME)
def test_what_changes_no_meaning_does_not_count(fingerprinted: Callable[..., str], what: str) -> None:
    assert SAME[what] != PART
    assert fingerprinted({"part.py": SAME[what]}) == fingerprinted()


OTHER = {
    "an expression": {"part.py": PART.replace("double(t)", "double(t) + 0")},
    "a default": {"part.py": PART.replace("rate: float = 2.0", "rate: float = 3.0")},
    "a constant that is read": {"part.py": PART.replace("SHIFT = 1", "SHIFT = 2")},
    "a helper": {"helper.py": HELPER.replace("* x", "* x * x")},
    "a helper of the helper": {"deeper.py": "def two():\n    return 3\n"},
    "a change of a constant": {"part.py": PART + "\nSHIFT += 1\n"},
    "a patch of a class": {"part.py": PART + "\nPart.__call__ = beside\n"},
    "a call on import": {"part.py": PART + "\nprint(1)\n"},
    "a call on import of a helper": {"helper.py": HELPER + "\nprint(1)\n"},
    "another library": {"part.py": PART.replace("import torch\n", "import math as torch\n")},
    "a method": {"part.py": PART.replace("return self.rate", "return 2 * self.rate")},
    "a local name in place of a helper": {"part.py": PART.replace(USE, f"double = abs\n        {USE}")},
}


@pytest.mark.parametrize("what", OTHER)
def test_what_is_reached_counts_wherever_the_package_has_it(fingerprinted: Callable[..., str], what: str) -> None:
    assert fingerprinted(OTHER[what]) != fingerprinted()


def test_definitions_may_move_to_other_files(fingerprinted: Callable[..., str]) -> None:
    moved = {
        "helper.py": "",
        "stranger/rooms/__init__.py": "",
        "stranger/rooms/new.py": HELPER.replace("from .deeper", "from stranger.deeper"),
        "part.py": PART.replace("from .helper", "from .rooms.new"),
    }
    assert fingerprinted(moved) == fingerprinted()
    assert fingerprinted({"other.py": PART}, "stranger.other") == fingerprinted()


def test_names_that_come_through_another_file_are_followed(fingerprinted: Callable[..., str]) -> None:
    through = {"part.py": PART.replace("from .helper", "from .door"), "door.py": "from .helper import *\n"}
    assert fingerprinted(through) == fingerprinted()
    deeper = {**through, "deeper.py": "def two():\n    return 3\n"}
    assert fingerprinted(deeper) != fingerprinted(through)


@pytest.mark.parametrize(
    "dynamic",
    [
        "globals()['double'](t)",
        "eval('double')(t)",
        "getattr(helper, 'dou' + 'ble')(t)",
        "import_module('stranger.helper')",
    ],
)
def test_what_cannot_be_read_from_the_code_counts_whole(fingerprinted: Callable[..., str], dynamic: str) -> None:
    """A helper that might be meant counts, used or not."""
    imports = "from importlib import import_module\nfrom . import helper\nfrom .helper import double"
    part = PART.replace("from .helper import double", imports).replace("double(t)", dynamic)
    if "helper" in dynamic:
        edited = {"part.py": part, "helper.py": HELPER.replace("return 7", "return 8")}
    else:
        edited = {"part.py": part.replace("return x", "return x + 1")}
    assert fingerprinted(edited) != fingerprinted({"part.py": part})


def test_a_method_that_is_cut_does_not_count(fingerprinted: Callable[..., str]) -> None:
    other = {"part.py": PART.replace("return self.rate", "return 2 * self.rate")}
    assert fingerprinted(other, cut=("check",)) == fingerprinted(cut=("check",))


def test_another_package_does_not_count_even_if_its_name_starts_alike(fingerprinted: Callable[..., str]) -> None:
    part = PART.replace("from .helper", "import strangers\nfrom .helper").replace("SHIFT = 1", "SHIFT = strangers.x")
    one, two = ({"part.py": part, "strangers/__init__.py": f"x = {number}\n"} for number in (1, 2))
    assert fingerprinted(one) == fingerprinted(two)


def test_functions_that_call_each_other_end(fingerprinted: Callable[..., str]) -> None:
    circle = "from .deeper import two\n\ndef double(x):\n    return two() * x\n"
    back = "def two():\n    from .helper import double\n    return double(2)\n"
    assert fingerprinted({"helper.py": circle, "deeper.py": back}) != fingerprinted()


def test_a_class_that_is_not_at_the_top_of_a_file_counts_with_all_of_it() -> None:
    class Inner:
        pass

    assert fingerprint.node_of(Inner) == Node(__name__, normal.WHOLE)


def test_a_loose_file_counts_with_our_components_that_it_uses(tmp_path: Path) -> None:
    from mgbench.registry.loading import find, load

    text = "\n".join(
        (
            "from dataclasses import dataclass",
            "from mgbench import hookimpl",
            "{}",
            "@dataclass(frozen=True)",
            "class Mine:",
            "    def __call__(self, t):",
            "        return {}",
            "@hookimpl",
            "def mgbench_mask_schedules():",
            "    return {{'mine': Mine}}",
        )
    )
    made: list[Any] = []
    inner = "from mgbench.components.heads import noise_schedule"
    old = "from mgbench.components import noise as noise_schedule"
    cases = [
        ("", "t"),
        ("", "t"),
        (inner, "t"),
        ("", "t + 1"),
        (inner, "noise_schedule.STEPS"),
        (old, "noise_schedule.STEPS"),
    ]
    for number, (line, value) in enumerate(cases):
        path = tmp_path / str(number) / "mine.py"
        path.parent.mkdir()
        path.write_text(text.format(line, value))
        forget()
        made.append(fingerprint.fingerprint(load([find(str(path))]).names("mask_schedule")["mine"].maker))
    same, again, unused, other, used, moved = made
    assert same == again == unused
    assert used == moved
    assert len({same, other, used}) == 3
