"""Normalise one definition: its code without file names, comments, docstrings or layout, and the definitions it refers
to.
"""

import ast
from functools import cache

from mgbench.recipes.modules import ModuleText, follows, read_module
from mgbench.recipes.normal import EFFECTS, WHOLE, Meaning, Node, Reader, effects
from mgbench.recipes.syntax import FUNCTIONS


def meaning(node: Node, cut: frozenset[str] = frozenset()) -> Meaning:
    """The normalised code of a node, without the methods named in `cut`."""
    return _meaning(node, cut & _methods(node))


@cache
def _methods(node: Node) -> frozenset[str]:
    """The names of the methods of all classes in a node."""
    text = read_module(node.module)
    found = [] if text is None else [inner for item in _statements(text, node.name) for inner in ast.walk(item)]
    classes = [inner for inner in found if isinstance(inner, ast.ClassDef)]
    return frozenset(item.name for inner in classes for item in inner.body if isinstance(item, FUNCTIONS))


@cache
def _meaning(node: Node, cut: frozenset[str]) -> Meaning:
    text = read_module(node.module)
    if text is None:
        return Meaning(f"no source: {node.module}.{node.name}", (), frozenset())
    reader = Reader(text, cut)
    for statement in _statements(text, node.name):
        reader.read(statement)
    if node.name in (WHOLE, EFFECTS):
        inner = [Node(name, EFFECTS) for name in text.imported if follows(text.name, name) and read_module(name)]
        reader.refers += [other for other in inner if other not in reader.refers and effects(other.module)]
    return reader.meaning()


def _statements(text: ModuleText, name: str) -> list[ast.stmt]:
    if name == EFFECTS:
        return text.effects
    if name == WHOLE:
        found = {id(node): node for nodes in text.statements.values() for node in nodes}
        return sorted({**found, **{id(node): node for node in text.effects}}.values(), key=lambda node: node.lineno)
    return text.statements[name]
