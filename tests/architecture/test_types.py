"""Parameters have types; those that can be anything to a type checker say beside them why."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mgbench.interfaces import components, optional
from mgbench.recipes.kinds import EVERY_KIND, OF_PROTOCOL, TABLE, Kind
from mgbench.registry.loading import load

ROOT = Path(__file__).resolve().parents[2]
FILES = [*(ROOT / "mgbench").rglob("*.py"), *(ROOT / "plugins").glob("*.py")]
Function = ast.FunctionDef | ast.AsyncFunctionDef
# This number only falls.
MOST = 25


def untyped(text: str) -> Iterator[tuple[str, str, bool]]:
    """Function and name of every parameter of type `Any`, and whether a comment at the function or beside it says why."""
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, Function):
            continue
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        signature = lines[first - 2 : node.body[0].lineno - 1]
        reason = any(re.search(r"# Any\b[^:]*: \w+", line) for line in signature)
        for argument in filter(None, every):
            if isinstance(argument.annotation, ast.Name) and argument.annotation.id == "Any":
                yield node.name, argument.arg, reason


def test_few_parameters_are_of_any_type_and_each_has_its_reason() -> None:
    found = [(path, *one) for path in FILES for one in untyped(path.read_text(encoding="utf-8"))]
    silent = [f"{path.relative_to(ROOT)}: {name}({argument})" for path, name, argument, reason in found if not reason]
    assert not silent, "give a type, or say why there is none in a comment '# Any: …' at the function"
    assert len(found) <= MOST


def test_the_count_sees_what_it_counts() -> None:
    text = (
        "def f(a: Any, *b: Any, c: int) -> Any: ...\n\n\n# Any: no types there.\n@cache\ndef g(d: Any) -> None: ...\n"
    )
    assert list(untyped(text)) == [("f", "a", False), ("f", "b", False), ("g", "d", True)]


# Attributes that are looked up by a name in a variable, or are part of Python and of libraries, are no optional ones of ours.
PLACES = {"mgbench/interfaces/optional.py"}


def looked_up(text: str) -> Iterator[str]:
    """The names of attributes that are looked up with `getattr` or `hasattr`."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "hasattr"):
            name = node.args[1]
            if isinstance(name, ast.Constant):
                yield str(name.value)


def test_an_optional_attribute_of_a_component_is_looked_up_in_one_place() -> None:
    declared = set(looked_up(inspect.getsource(optional)))
    assert len(declared) > 20
    elsewhere = {
        f"{shown}: {name}"
        for path in FILES
        if (shown := path.relative_to(ROOT).as_posix()) not in PLACES
        for name in looked_up(path.read_text(encoding="utf-8"))
        if name in declared
    }
    assert not elsewhere, "ask mgbench.interfaces.optional"


@pytest.mark.parametrize("kind", [kind for kind in TABLE if kind.default], ids=lambda kind: kind.name)
def test_a_component_is_asked_for_by_the_protocol_of_its_kind(kind: Kind) -> None:
    registry, protocol = load(), getattr(components, kind.protocol)
    assert kind.default is not None
    assert registry.build(protocol, kind.default) is registry.build(kind.name, kind.default)
    assert EVERY_KIND[OF_PROTOCOL[protocol.__name__]].protocol == kind.protocol
