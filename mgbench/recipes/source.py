"""Where a plugin comes from, and which code a component runs, as a hash.

Results belong to the code that made them, whatever its version number says.
"""

import ast
import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

# Components are ours or a plugin's; the rest of mgbench is held constant by `recipe.PROTOCOL_VERSION`.
OUR_COMPONENTS = "mgbench.components"


@dataclass(frozen=True)
class Source:
    """Where a plugin comes from: its name, its module or file, and its distribution."""

    name: str
    target: str
    distribution: str = ""

    @property
    def module(self) -> str:
        """The name of its module once it is imported."""
        return f"mgbench_plugin_{self.name}" if self.target.endswith(".py") else self.target

    def version(self) -> str:
        """What is imported, for people: its name, the hash of its code, and the distribution or the file it is from."""
        return f"{self.name} {fingerprint_of(self.module)} ({self.distribution or self.target})"


def fingerprint(maker: type) -> str:
    """A hash of the module of a component, as `fingerprint_of` has it."""
    return fingerprint_of(maker.__module__)


def fingerprint_of(module: str) -> str:
    """A hash of a module and of all it imports from its own package or from our components.

    Comments, docstrings and layout do not count.
    """
    hashed = hashlib.sha256()
    for name, path in sorted(_closure(module).items()):
        hashed.update(f"{name}\n{_meaning(path)}\n".encode())
    return hashed.hexdigest()[:12]


def _closure(module: str) -> dict[str, Path]:
    own = OUR_COMPONENTS if _within(module, OUR_COMPONENTS) else module.partition(".")[0]
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        spec = None if name in found else _spec(name)
        path = _path(spec)
        if spec is None or path is None:
            continue
        found[name] = path
        waiting += [other for other in _imports(spec, path) if _within(other, own) or _within(other, OUR_COMPONENTS)]
    return found


def _within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def _spec(name: str) -> ModuleSpec | None:
    """Where a module comes from, imported or not: what a function imports later counts from the beginning."""
    if name in sys.modules:
        return sys.modules[name].__spec__
    try:
        return find_spec(name)
    except (ImportError, ValueError):
        return None  # the name is of something in a module, not of a module


def _path(spec: ModuleSpec | None) -> Path | None:
    path = Path(spec.origin) if spec is not None and spec.origin else None
    return path if path is not None and path.suffix == ".py" and path.is_file() else None


def _imports(spec: ModuleSpec, path: Path) -> Iterator[str]:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, spec.parent or "")
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    base = package.rsplit(".", node.level - 1)[0]
    return f"{base}.{node.module}" if node.module else base


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _meaning(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(node, body[0]):
            node.body = body[1:]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_docstring(node: ast.AST, first: ast.stmt) -> bool:
    owners = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return isinstance(node, owners) and isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
