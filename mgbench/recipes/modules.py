"""Static analysis of modules: the top-level statements that define each name, and the origins of imported names.

Modules are parsed, not imported, except for the packages that contain them.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

OURS = ("mgbench", "mgbench_plugins")
_IMPORTS = ast.Import | ast.ImportFrom
_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
_DEFINITIONS = _FUNCTIONS | ast.ClassDef


class Target(NamedTuple):
    """The meaning of a name: a definition in a module of mgbench or of the plugin, such a module itself, or something
    foreign.

    `name` is empty for a module; `foreign` is the full name in a library, and empty for the other two.
    """

    module: str = ""
    name: str = ""
    foreign: str = ""


@dataclass
class ModuleText:
    """A parsed module; `package` is the base of its relative imports.

    `statements` define or change each name; `imports` maps imported names to a module and a name in it (empty: the
    module itself). `typing_only` are names imported under `TYPE_CHECKING`; `stars` are modules imported with `*`;
    `effects` are statements that define nothing, such as a call that registers something; `imported` are all modules in
    top-level imports.
    """

    name: str
    package: str = ""
    statements: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)
    typing_only: dict[str, tuple[str, str]] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    effects: list[ast.stmt] = field(default_factory=list)
    imported: list[str] = field(default_factory=list)

    def find(self, name: str) -> Target | None:
        """The target of a top-level name; None for builtins and unknown names."""
        return _find(self.name, name, frozenset())


@cache
def read_module(name: str) -> ModuleText | None:
    """The parsed module; None if it has no source file."""
    spec = _spec(name)
    if spec is None:
        return None
    homes = getattr(spec.loader, "homes", None)
    if homes is not None:
        return ModuleText(name, stars=list(homes(name)))
    path = _path(spec)
    return None if path is None else _read(name, spec.parent or "", path)


def _spec(name: str) -> ModuleSpec | None:
    """The import spec of a module, whether it is already imported or not."""
    if name in sys.modules:
        return sys.modules[name].__spec__
    try:
        return find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None  # The name is that of an attribute of a module.


def _path(spec: ModuleSpec) -> Path | None:
    path = Path(spec.origin) if spec.origin else None
    return path if path is not None and path.suffix == ".py" and path.is_file() else None


def follows(module: str, other: str) -> bool:
    """Whether the code of `other` is followed from `module`: it is in the same package, or in mgbench."""
    top = other.partition(".")[0]
    return top == module.partition(".")[0] or top in OURS


def _read(name: str, package: str, path: Path) -> ModuleText:
    found = ModuleText(name, package)
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        _sort(found, node, package)
    return found


def _sort(found: ModuleText, node: ast.stmt, package: str) -> None:
    """Add a top-level statement to the fields of `found`."""
    if is_typing_only(node):
        assert isinstance(node, ast.If)
        found.typing_only |= {name: target for inner in node.body for name, target in imported_names(inner, package)}
    elif isinstance(node, _IMPORTS):
        for name, target in imported_names(node, package):
            if name == "*":
                found.stars.append(target[0])
            else:
                found.imports[name] = target
            found.imported.append(target[0])
    elif not (is_docstring(node) or _is_main(node)):
        names = sorted(set(_defined(node)))
        for name in names:
            found.statements.setdefault(name, []).append(node)
        if not names or (_is_compound(node) and any(isinstance(inner, ast.Expr) for inner in _shallow(node))):
            found.effects.append(node)


def _is_compound(node: ast.stmt) -> bool:
    return hasattr(node, "body") and not isinstance(node, _DEFINITIONS)


def is_typing_only(node: ast.AST) -> bool:
    """Whether a statement is `if TYPE_CHECKING:` without an `else`."""
    return isinstance(node, ast.If) and not node.orelse and ast.unparse(node.test).endswith("TYPE_CHECKING")


def _is_main(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)


def is_docstring(node: ast.AST) -> bool:
    """Whether a statement is only a string (or an ellipsis)."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def imported_names(node: ast.stmt, package: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Every name that an import binds, with the module and the name in it (empty for the module itself)."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            top = alias.name.partition(".")[0]
            yield (alias.asname, (alias.name, "")) if alias.asname else (top, (top, ""))
    elif isinstance(node, ast.ImportFrom):
        base = _absolute(node, package)
        yield from ((alias.asname or alias.name, (base, alias.name)) for alias in node.names)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    base = package.rsplit(".", node.level - 1)[0]
    return f"{base}.{node.module}" if node.module else base


def _defined(node: ast.stmt) -> Iterator[str]:
    """The top-level names that a statement defines or changes."""
    if isinstance(node, _DEFINITIONS):
        yield node.name
        return
    for inner in _shallow(node):
        if isinstance(inner, _DEFINITIONS):
            yield inner.name
        elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store | ast.Del):
            yield inner.id
        elif isinstance(inner, ast.Attribute | ast.Subscript) and isinstance(inner.ctx, ast.Store | ast.Del):
            yield from _owner(inner)
        elif isinstance(inner, _IMPORTS):
            yield from (name for name, _ in imported_names(inner, ""))


def _owner(node: ast.expr) -> Iterator[str]:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id


def _shallow(node: ast.AST) -> Iterator[ast.AST]:
    """A node and its descendants, without the bodies of functions and classes."""
    yield node
    if not isinstance(node, (*_FUNCTIONS.__args__, ast.ClassDef, ast.Lambda)):
        for child in ast.iter_child_nodes(node):
            yield from _shallow(child)


def bound_in(body: list[ast.stmt]) -> set[str]:
    """The names bound by the statements of a function, without nested functions and `global` names."""
    found: set[str] = set()
    outer: set[str] = set()
    for node in (inner for statement in body for inner in _shallow(statement)):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                found.add(name)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                found.add(node.name)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                found.add(name)
            case ast.MatchMapping(rest=str(name)):
                found.add(name)
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                outer |= set(names)
    return found - outer


def _find(module: str, name: str, seen: frozenset[tuple[str, str]]) -> Target | None:
    text = read_module(module)
    if text is None or (module, name) in seen:
        return None
    seen |= {(module, name)}
    if name in text.statements:
        return Target(module, name)
    known = text.imports.get(name) or text.typing_only.get(name)
    if known:
        return imported(module, *known, seen)
    for star in text.stars:
        found = _find(star, name, seen) if follows(module, star) else None
        if found:
            return found
    return None


def imported(module: str, source: str, name: str, seen: frozenset[tuple[str, str]] = frozenset()) -> Target:
    """The target of an import in a module: a name in `source`, or `source` itself if the name is empty."""
    if not follows(module, source):
        return Target(foreign=f"{source}.{name}" if name else source)
    if not name:
        return Target(source)
    found = _find(source, name, seen)
    if found:
        return found
    inner = f"{source}.{name}"
    return Target(inner) if read_module(inner) else Target(foreign=inner)
