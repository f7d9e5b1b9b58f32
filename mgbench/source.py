"""Which code a component runs, as a hash: results belong to the code that made them, whatever its version number says."""

import ast
import hashlib
import inspect
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

# Components are ours or a plugin's; the rest of mgbench is held constant by `recipe.PROTOCOL_VERSION`.
OUR_COMPONENTS = "mgbench.components"


def fingerprint(maker: type) -> str:
    """A hash of the module of a component and of all it imports from its own package or from our components.

    Comments, docstrings and layout do not count.
    """
    module = sys.modules[maker.__module__]
    names = sorted(_closure(module, _family(module)))
    hashed = hashlib.sha256()
    for name in names:
        hashed.update(f"{name}\n{_meaning(_path(sys.modules[name]))}\n".encode())
    return hashed.hexdigest()[:12]


def _family(module: ModuleType) -> str:
    name = module.__name__
    return OUR_COMPONENTS if name.startswith(OUR_COMPONENTS) else name.partition(".")[0]


def _closure(module: ModuleType, family: str) -> set[str]:
    found: set[str] = set()
    waiting = [module.__name__]
    while waiting:
        name = waiting.pop()
        if name in found or name not in sys.modules or _path(sys.modules[name]) is None:
            continue
        found.add(name)
        near = [other for other in _imports(name) if other.startswith((family, OUR_COMPONENTS))]
        waiting += near
    return found


def _imports(name: str) -> list[str]:
    path = _path(sys.modules[name])
    tree = _tree(path) if path else ast.Module([], [])
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, name)
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return names


def _absolute(node: ast.ImportFrom, name: str) -> str:
    if not node.level:
        return node.module or ""
    package = sys.modules[name].__package__ or ""
    base = package.rsplit(".", node.level - 1)[0]
    return f"{base}.{node.module}" if node.module else base


def _path(module: ModuleType) -> Path | None:
    try:
        return Path(inspect.getsourcefile(module) or "").resolve(strict=True)
    except (OSError, TypeError):
        return None


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _meaning(path: Path | None) -> str:
    if path is None or not path.is_file():
        return ""
    tree = _tree(path)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(node, body[0]):
            node.body = body[1:]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_docstring(node: ast.AST, first: ast.stmt) -> bool:
    owners = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return isinstance(node, owners) and isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
