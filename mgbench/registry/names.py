"""Names of components and methods from the source code of plugins, for shell completion without imports.

Only hooks that return a dict literal are understood, as in all bundled plugins; other names are not completed.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

from mgbench.recipes.kinds import EVERY_KIND
from mgbench.recipes.modules import read_module
from mgbench.recipes.source import Source
from mgbench.registry.loading import RECIPE_HOOK, installed, ours


@dataclass(frozen=True)
class Named:
    """A name that a plugin offers, and its class (empty if it is not a plain name)."""

    name: str
    plugin: str
    module: str
    maker: str = ""


def components(kind: str) -> list[Named]:
    """The components of a kind."""
    return [named for source in _sources() for named in _offered(source, EVERY_KIND[kind].hook)]


def methods() -> list[Named]:
    """The methods of all plugins."""
    return [named for source in _sources() for named in _offered(source, RECIPE_HOOK)]


def plugins_with(*hooks: str) -> list[str]:
    """The installed plugins that have one of some hooks."""
    return [name for name, source in installed().items() if any(hook in _text(source) for hook in hooks)]


def option_values(component: Named) -> dict[str, tuple[str, ...]]:
    """The options of a component with their possible values, if they are words; inherited ones first."""
    return dict(_options(component.module, component.maker))


def _sources() -> list[Source]:
    return [*ours().values(), *installed().values()]


def _offered(source: Source, hook: str) -> Iterator[Named]:
    for name, maker in _written(source, hook).items():
        yield Named(name, source.name, source.module, maker)


def _written(source: Source, hook: str) -> dict[str, str]:
    """The names in the dict that a hook returns, with the names of their classes."""
    text = _text(source)
    # Parse only the few files with the hook.
    if f"def {hook}(" not in text:
        return {}
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError):
        return {}
    functions = (node for node in body if isinstance(node, ast.FunctionDef) and node.name == hook)
    returned = (node.value for function in functions for node in ast.walk(function) if isinstance(node, ast.Return))
    return {
        key.value: value.id if isinstance(value, ast.Name) else ""
        for found in returned
        if isinstance(found, ast.Dict)
        for key, value in zip(found.keys, found.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }


def _text(source: Source) -> str:
    path = _path(source.target)
    try:
        return path.read_text(encoding="utf-8") if path else ""
    except (OSError, UnicodeDecodeError):
        return ""


@cache
def _path(target: str) -> Path | None:
    """The source file of a module, found without importing its packages."""
    if target.endswith(".py"):
        return Path(target)
    top, *rest = target.split(".")
    for folder in _homes(top, not rest):
        place = folder.joinpath(*rest)
        for path in (place.with_suffix(".py") if rest else folder, place / "__init__.py"):
            if path.is_file():
                return path
    return None


def _homes(top: str, alone: bool) -> list[Path]:
    """The folders of a package, or the file of a top-level module."""
    try:
        spec: ModuleSpec | None = find_spec(top)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return []
    if alone:
        return [Path(spec.origin)] if spec.origin else []
    return [Path(folder) for folder in spec.submodule_search_locations or ()]


def _options(module: str, maker: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    text = read_module(module)
    if text is None:
        return
    target = text.find(maker)
    home = read_module(target.module) if target and target.name else None
    if target is None or home is None:
        return
    for node in home.statements.get(target.name, ()):
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                if isinstance(base, ast.Name):
                    yield from _options(home.name, base.id)
            # Of a base that is no dataclass nothing is an option.
            if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
                yield from _declared(home.name, node)


def _declared(module: str, node: ast.ClassDef) -> Iterator[tuple[str, tuple[str, ...]]]:
    for inner in node.body:
        match inner:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=hint) if "ClassVar" not in ast.unparse(hint):
                yield name, _values(module, hint)


def _values(module: str, annotation: ast.expr) -> tuple[str, ...]:
    """The possible values of an option from its annotation: those of a Literal, or true and false; otherwise none."""
    if isinstance(annotation, ast.Name):
        return ("true", "false") if annotation.id == "bool" else _of_alias(module, annotation.id)
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value).endswith("Literal"):
        found = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
        return tuple(str(node.value) for node in found if isinstance(node, ast.Constant))
    return ()


def _of_alias(module: str, name: str) -> tuple[str, ...]:
    text = read_module(module)
    target = text.find(name) if text else None
    home = read_module(target.module) if target and target.name else None
    if target is None or home is None:
        return ()
    assigned = (node.value for node in home.statements.get(target.name, ()) if isinstance(node, ast.Assign))
    return next((_values(home.name, value) for value in assigned), ())
