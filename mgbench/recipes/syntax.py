"""Helpers for Python syntax trees."""

import ast
from typing import Any

FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
# Decorators that do not read annotations; with any other, annotations count.
_BLIND = frozenset(
    (
        *("abstractmethod", "cache", "cached_property", "classmethod", "contextmanager", "dataclass", "hookimpl"),
        *("inference_mode", "lru_cache", "no_grad", "override", "overload", "property", "setter", "staticmethod"),
    )
)


def copied(value: object) -> Any:
    """A deep copy of a syntax tree or a list of them."""
    if isinstance(value, list):
        return [copied(item) for item in value]
    if not isinstance(value, ast.AST):
        return value
    return type(value)(**{name: copied(getattr(value, name, None)) for name in value._fields})


def as_assignment(node: ast.AnnAssign) -> ast.stmt:
    """An annotated assignment without its annotation."""
    assert node.value is not None
    return ast.Assign([node.target], node.value, lineno=0)


def all_arguments(arguments: ast.arguments) -> list[ast.arg]:
    """All arguments of a function, positional, keyword-only and starred."""
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return every + [item for item in (arguments.vararg, arguments.kwarg) if item]


def _last(decorator: ast.expr) -> str:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(called).rpartition(".")[2]


def is_dataclass(node: ast.ClassDef) -> bool:
    """Whether a class has a dataclass decorator."""
    return any(_last(item) == "dataclass" for item in node.decorator_list)


def marker(annotation: ast.expr) -> ast.expr:
    """A constant that marks whether an annotation makes a dataclass field, as `ClassVar` does not."""
    text = ast.unparse(annotation)
    marks = [word for word in ("ClassVar", "InitVar", "KW_ONLY") if word in text]
    return ast.Constant(" ".join(marks))


def reads_annotations(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a decorator of a function may read its annotations."""
    return not all(_last(item) in _BLIND for item in node.decorator_list)
