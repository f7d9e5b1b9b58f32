"""A new kind touches three files: the table, the protocols and a law; this adds one to a copy of the package."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import mgbench

TABLE, PROTOCOLS, LAWS = "recipes/kinds.py", "interfaces/components.py", "testing/laws/training.py"
# What is added to each file, and before which line.
EDITS = {
    TABLE: [("    sampler: Spec", '    tint: Spec | None = _kind("how red is it?", "model", Spec("red"))\n')],
    PROTOCOLS: [
        ("    sampler: ", '    tint: "Tint"\n'),
        (
            "class Sampler(",
            "class Tint(Component, Protocol):\n"
            '    """How red is it?"""\n\n    def share(self) -> float:\n        """The share of red."""\n\n\n',
        ),
    ],
    LAWS: [
        (
            "def network(",
            'def tint(component: Tint) -> None:\n    need(0 <= component.share() <= 1, "a share must lie in [0, 1]")\n\n\n',
        ),
        ("def dataset(", "from mgbench.interfaces.components import Tint\n\n\n"),
    ],
}
PLUGIN = '''
"""Tints."""

from dataclasses import dataclass
from typing import ClassVar

from mgbench import hookimpl
from mgbench.components.processes.masked import Masked


@dataclass(frozen=True)
class Red:
    """So much red."""

    much: float = 1.0

    def share(self) -> float:
        return self.much


@dataclass(frozen=True)
class Tinted(Masked):
    """Asks for a tint."""

    asks: ClassVar[tuple[str, ...]] = (*Masked.asks, "tint")


@hookimpl
def mgbench_tints():
    return {"red": Red}


@hookimpl
def mgbench_processes():
    return {"tinted": Tinted}
'''
CHECKS = """
import sys
import mgbench
from mgbench import Recipe
from mgbench.interfaces.components import Tint
from mgbench.recipes.recipe import decides
from mgbench.recipes.spec import Spec
from mgbench.registry.laws import law_checks
from mgbench.registry.loading import find, load
from mgbench.registry.resolve import assemble

print(mgbench.__file__)
registry = load([find(sys.argv[1])])
assert not registry.problems, registry.problems
assert registry.build(Tint, Spec("red")).share() == 1
plain, usual, other = (
    assemble(registry, Recipe.of(head="categorical", tokenizer="kmeans", sampler="random_order", **fields))
    for fields in ({}, {"process": "tinted"}, {"process": "tinted", "tint": "red(much=0.5)"})
)
assert plain.spelled["tint"] is None
assert (usual.spelled["tint"], other.spelled["tint"]) == ("red(much=1.0)", "red(much=0.5)")
assert other.parts.tint.share() == 0.5
assert decides("tint") == "model"
assert usual.keys.tokenizer == other.keys.tokenizer
assert usual.keys.training != other.keys.training
unasked = assemble(registry, Recipe.of(tint="red"), given=["tint"])
assert "nothing in this recipe asks for a tint" in unasked.unfit
said = {str(one): one.broken() for one in law_checks([sys.argv[1]], ["red(much=2.0)"]) if one.kind == "tint"}
assert "a share must lie in [0, 1]" in said["tint red(much=2.0)"].law
from mgbench.cli import main
sys.argv = ["mgbench", "list", "tint", "--plugins", sys.argv[1]]
main()
"""


def edited(folder: Path) -> Path:
    """A copy of the package in which there is one kind more."""
    copy = Path(shutil.copytree(Path(mgbench.__path__[0]), folder / "mgbench"))
    for name, additions in EDITS.items():
        text = (copy / name).read_text(encoding="utf-8")
        for before, added in additions:
            assert text.count(f"\n{before}") == 1
            text = text.replace(f"\n{before}", f"\n{added}{before}")
        (copy / name).write_text(text, encoding="utf-8")
    return copy


def test_a_new_kind_touches_three_files(tmp_path: Path) -> None:
    copy, plugin = edited(tmp_path), tmp_path / "tints.py"
    plugin.write_text(PLUGIN, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-c", CHECKS, str(plugin)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not ran.returncode, ran.stderr
    assert ran.stdout.splitlines()[0] == str(copy / "__init__.py")
    assert "how red is it?" in ran.stdout
    assert "red(much=1.0)" in ran.stdout
