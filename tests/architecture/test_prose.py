"""Docstrings say what a thing is, give the shapes of tensors, and say what is raised."""

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mgbench.recipes.kinds import TABLE

ROOT = Path(__file__).resolve().parents[2]
FILES = [*(ROOT / "mgbench").rglob("*.py"), *(ROOT / "plugins").glob("*.py")]
Function = ast.FunctionDef | ast.AsyncFunctionDef
# Protocols of kinds keep their questions: they are the table of contents.
KINDS = tuple(kind.question.lower() for kind in TABLE)
OPENERS = re.compile(r"(What|Who|How|Which|Where|Why|When|Whose)\b(?! a\b| there\b)")
SHAPE = re.compile(r"\[[A-Z0-9][^\]]*\]|\bscalar\b|elementwise|\bof any shape\b|[Rr]aises as|as `\w+`")


def room(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    return parts[1] if parts[0] == "mgbench" and len(parts) > 2 else parts[0] if parts[0] != "mgbench" else parts[1]


def documented(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Every docstring, and what it is of."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | Function) and (text := ast.get_docstring(node)):
            yield node, text


def questions(path: Path, tree: ast.Module) -> Iterator[str]:
    """Modules whose docstring opens with a question."""
    text = (ast.get_docstring(tree) or "").split("\n\n")[0]
    if "?" in text:
        yield shown(path)


def opening(path: Path, tree: ast.Module) -> Iterator[str]:
    """Docstrings that open with a word of questions."""
    for _, text in documented(tree):
        if OPENERS.match(text) and not text.lower().startswith(KINDS):
            yield f"{shown(path)}: {text.splitlines()[0]}"


def shapeless(path: Path, tree: ast.Module) -> Iterator[str]:
    """Public functions and methods with a docstring that take or return tensors and give no shape."""
    for node, text in documented(tree):
        if isinstance(node, Function) and not node.name.startswith("_"):
            hints = [argument.annotation for argument in (*node.args.args, *node.args.kwonlyargs)] + [node.returns]
            takes = any(hint is not None and re.search(r"\bTensor\b", ast.unparse(hint)) for hint in hints)
            if takes and not SHAPE.search(text):
                yield f"{shown(path)}: {node.name}"


def silent(path: Path, tree: ast.Module) -> Iterator[str]:
    """Public functions and methods with a docstring that raise something and do not say so; a command's is its help."""
    if room(path) == "cli":
        return
    for node, text in documented(tree):
        if isinstance(node, Function) and not node.name.startswith("_"):
            raised = {
                inner.exc.func.id
                for inner in ast.walk(node)
                if isinstance(inner, ast.Raise)
                and isinstance(inner.exc, ast.Call)
                and isinstance(inner.exc.func, ast.Name)
            }
            if raised and not re.search(r"[Rr]aises\b", text):
                yield f"{shown(path)}: {node.name} raises {', '.join(sorted(raised))}"


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


CHECKS: dict[str, Callable[[Path, ast.Module], Iterator[str]]] = {
    "questions": questions,
    "opening": opening,
    "shapeless": shapeless,
    "silent": silent,
}


@pytest.mark.parametrize("what", CHECKS)
def test_docstrings_are_plain_and_complete(what: str) -> None:
    found = [said for path in FILES for said in CHECKS[what](path, ast.parse(path.read_text(encoding="utf-8")))]
    assert not found


def test_the_checks_find_what_they_look_for() -> None:
    text = (
        '"""What is this?"""\ndef f(x: Tensor) -> Tensor:\n    """Which x it is."""\n    raise UserError("no")\n'
        'def g(x: "Tensor") -> int:\n    """The sum of x float [B].\n\n    Raises:\n        Unfit: never.\n    """\n'
        '    raise Unfit("x")\n'
    )
    path, tree = ROOT / "mgbench" / "stages" / "x.py", ast.parse(text)
    seen = Counter({what: len(list(count(path, tree))) for what, count in CHECKS.items()})
    assert seen == {"questions": 1, "opening": 2, "shapeless": 1, "silent": 1}
