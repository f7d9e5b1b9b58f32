"""Results belong to the code that made them: the fingerprint follows its meaning, and nothing else."""

import importlib
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from mgbench.recipes import source
from mgbench.recipes.source import fingerprint
from mgbench.registry.loading import find, load
from mgbench.registry.registry import HOOKS

PART = '''"""A schedule."""
from dataclasses import dataclass
from .helper import double

@dataclass(frozen=True)
class Part:
    """Twice."""
    rate: float = 2.0

    def __call__(self, t):
        """Do it."""
        # And say so.
        return double(t)
'''
HELPER = "from .deeper import two\n\ndef double(x):\n    return two() * x\n"
FILES = {
    "__init__.py": "",
    "part.py": PART,
    "helper.py": HELPER,
    "deeper.py": "def two():\n    return 2\n",
    "unrelated.py": "x = 1\n",
}

_numbers = count()


@pytest.fixture
def fingerprinted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """The fingerprint of `Part` in a package of the files above with some changed, as a fresh process would see it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def forget() -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] in ("stranger", "strangers")]:
            del sys.modules[name]
        for cached in (getattr(source, name) for name in dir(source)):
            if hasattr(cached, "cache_clear"):
                cached.cache_clear()
        importlib.invalidate_caches()

    def make(changed: dict[str, str] | None = None, beside: dict[str, str] | None = None) -> str:
        forget()
        root = tmp_path / str(next(_numbers))
        for name, text in {f"stranger/{name}": text for name, text in {**FILES, **(changed or {})}.items()}.items() | (
            beside or {}
        ).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        monkeypatch.syspath_prepend(str(root))
        return fingerprint(importlib.import_module("stranger.part").Part)

    yield make
    forget()


@pytest.mark.parametrize(
    "text",
    [
        PART.replace('"""A schedule."""\n', ""),
        PART.replace("Twice.", "Two times."),
        PART.replace("        # And say so.\n", "        # Or not.\n"),
        PART.replace("rate: float = 2.0", "rate:  float  =  (\n        2.0\n    )"),
        PART.replace('        """Do it."""\n', "\n\n"),
        PART.replace("\n\n", "\n\n\n"),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(fingerprinted: Callable[..., str], text: str) -> None:
    assert text != PART
    assert fingerprinted({"part.py": text}) == fingerprinted()


@pytest.mark.parametrize(
    "changed",
    [
        {"part.py": PART.replace("double(t)", "double(t) + 0")},
        {"part.py": PART.replace("rate: float = 2.0", "rate: float = 3.0")},
        {"part.py": PART + "x = 'a string that is no docstring'\n"},
        {"helper.py": HELPER.replace("* x", "* x * x")},
        {"deeper.py": "def two():\n    return 3\n"},
    ],
)
def test_code_counts_wherever_the_package_has_it(fingerprinted: Callable[..., str], changed: dict[str, str]) -> None:
    assert fingerprinted(changed) != fingerprinted()


@pytest.mark.parametrize(
    "imported",
    [
        "from stranger.helper import double",
        "from stranger import helper\ndouble = helper.double",
        "import stranger.helper\ndouble = stranger.helper.double",
    ],
)
def test_a_helper_counts_however_it_is_imported(fingerprinted: Callable[..., str], imported: str) -> None:
    part = PART.replace("from .helper import double", imported)
    assert fingerprinted({"part.py": part}) != fingerprinted(
        {"part.py": part, "helper.py": HELPER.replace("* x", "* x * x")}
    )


def test_a_file_that_nothing_imports_does_not_count(fingerprinted: Callable[..., str]) -> None:
    assert fingerprinted({"unrelated.py": "x = 2\n"}) == fingerprinted()


def test_another_package_does_not_count_even_if_its_name_starts_alike(fingerprinted: Callable[..., str]) -> None:
    part = PART.replace("from .helper", "import strangers\nfrom .helper")
    one = fingerprinted({"part.py": part}, {"strangers/__init__.py": "x = 1\n"})
    assert one == fingerprinted({"part.py": part}, {"strangers/__init__.py": "x = 2\n"})


def test_where_the_package_lies_does_not_count(fingerprinted: Callable[..., str]) -> None:
    assert fingerprinted() == fingerprinted()


def test_a_helper_imported_inside_a_function_counts_before_it_is_first_used(fingerprinted: Callable[..., str]) -> None:
    """Otherwise rows of one study get other keys once their code has run."""
    part = PART.replace("from .helper import double\n", "").replace(
        "return double(t)", "from .helper import double\n        return double(t)"
    )
    before = fingerprinted({"part.py": part})
    maker: Any = sys.modules["stranger.part"].Part
    maker()(1)
    assert fingerprint(maker) == before


def test_a_loose_file_counts_with_our_components_that_it_imports(tmp_path: Path) -> None:
    text = "\n".join(
        (
            "from dataclasses import dataclass",
            "from mgbench import hookimpl",
            "{}",
            "@dataclass(frozen=True)",
            "class Mine:",
            "    def __call__(self, t):",
            "        return t",
            "@hookimpl",
            "def mgbench_mask_schedules():",
            "    return {{'mine': Mine}}",
        )
    )
    made = []
    for folder, line in (("a", ""), ("b", ""), ("c", "x = 1"), ("d", "from mgbench.components import noise")):
        path = tmp_path / folder / "mine.py"
        path.parent.mkdir()
        path.write_text(text.format(line))
        made.append(fingerprint(load([find(str(path))]).names("mask_schedule")["mine"].maker))
    assert made[0] == made[1]
    assert len(set(made)) == 3


def test_our_parts_have_fingerprints_that_differ_by_file() -> None:
    registry = load()
    makers = {offer.maker for kind in HOOKS for offer in registry.names(kind).values()}
    prints = {maker.__module__: fingerprint(maker) for maker in makers}
    assert len(set(prints.values())) == len(prints)
