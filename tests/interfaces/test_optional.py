"""Optional attributes are looked up in one place, and the formula of guidance stands in one place."""

import ast
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from mgbench.interfaces import optional
from mgbench.interfaces.sampling import Step, guided

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("interfaces", "components", "stages", "testing")
FILES = [path for room in ROOMS for path in (ROOT / "mgbench" / room).rglob("*.py")] + [
    *(ROOT / "plugins").glob("*.py")
]
STEP = Step(0, 1, 1.0, 0.0, 1.0, 0.0)


def looked_up(path: Path) -> list[str]:
    """Attributes that a file looks up by a text."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    named = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in ("getattr", "hasattr")]
    return [call.args[1].value for call in named if isinstance(call.args[1], ast.Constant)]


def test_each_optional_attribute_is_looked_up_in_one_place_only() -> None:
    here = ROOT / "mgbench" / "interfaces" / "optional.py"
    assert len(looked_up(here)) == len(set(looked_up(here))) > 10
    elsewhere = {path.name: set(looked_up(path)) & set(looked_up(here)) for path in FILES if path != here}
    assert not {name: found for name, found in elsewhere.items() if found}


def test_every_optional_attribute_is_in_the_guide() -> None:
    """Those that open the docstring of the function that looks one up are those of the tables."""
    functions = ast.parse((ROOT / "mgbench" / "interfaces" / "optional.py").read_text(encoding="utf-8")).body
    texts = [ast.get_docstring(node) or "" for node in functions if isinstance(node, ast.FunctionDef)]
    known = {name for text in texts for name in re.findall(r"`(\w+)", text.partition(": ")[0])}
    guide = (ROOT / "docs" / "guides" / "plugins.md").read_text(encoding="utf-8")
    section = guide.partition("## Optional attributes\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert sorted(name for row in rows for name in re.findall(r"`(\w+)", row)) == sorted(known)
    assert len(known) > 30


def test_what_has_no_optional_attribute_behaves_as_is_documented() -> None:
    bare: Any = SimpleNamespace(steps=7)
    assert optional.asked_kinds(bare) == optional.other_names(bare) == optional.ignored_settings(bare) == ()
    assert optional.content_files(bare) == optional.scales(bare) == optional.advice(bare, bare, bare) == ()
    assert (
        optional.usual_answer(bare, "solver")
        is optional.likelihood_bound(bare)
        is optional.log_likelihood(bare)
        is None
    )
    assert optional.value_temperature(bare, STEP) == 1
    assert optional.evaluations(bare) == 7
    assert not any(of(bare) for of in (optional.selects, optional.takes_sequences, optional.is_plain))
    assert optional.class_names(bare, ("a",)) == ("a",)
    optional.check(bare, bare, bare)


def test_guidance_moves_from_the_unconditional_prediction() -> None:
    c, u = torch.tensor([3.0, -1.0]), torch.tensor([1.0, 1.0])
    assert torch.equal(guided(c, u, 0.0), u)
    assert torch.equal(guided(c, u, 1.0), c)
    assert guided(c, u, 2.5).tolist() == [6.0, -4.0]


def test_the_formula_of_guidance_stands_in_one_place() -> None:
    formula = re.compile(r"\+ \w*scale\w* \* \(")
    places = [path.name for path in FILES if formula.search(path.read_text(encoding="utf-8"))]
    assert places == ["sampling.py"]
