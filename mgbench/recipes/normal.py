"""Normalise code for hashing: names are replaced by numbers of the definitions that they refer to."""

import ast
import hashlib
from dataclasses import dataclass, field
from functools import cache

from mgbench.recipes.modules import (
    ModuleText,
    Target,
    bound_in,
    follows,
    imported,
    imported_names,
    is_docstring,
    is_typing_only,
    read_module,
)
from mgbench.recipes.syntax import (
    FUNCTIONS,
    all_arguments,
    as_assignment,
    copied,
    is_dataclass,
    marker,
    reads_annotations,
)

# Builtins that look up names at run time, which cannot be followed.
_DYNAMIC = frozenset(["__import__", "eval", "exec", "globals", "locals", "vars", "import_module"])


@dataclass(frozen=True)
class Node:
    """A target of references: a definition in a module, all of a module (`name` is `*`), or the effects of importing it (`!`)."""

    module: str
    name: str


WHOLE, EFFECTS = "*", "!"


@dataclass(frozen=True)
class Meaning:
    """The hash of the normalised code of a node, and the nodes that it refers to, in the order of their numbers.

    `mentions` are the attribute names and short strings in it.
    """

    code: str
    refers: tuple[Node, ...]
    mentions: frozenset[str]


def effects(module: str) -> Node | None:
    """The node of a module's import side effects; None if the module, and all it imports, only define names."""
    return Node(module, EFFECTS) if _happens(module) else None


@cache
def _happens(module: str) -> bool:
    waiting, seen = [module], set()
    while waiting:
        name = waiting.pop()
        text = None if name in seen else read_module(name)
        seen.add(name)
        if text is not None:
            if text.effects:
                return True
            waiting += [other for other in text.imported if follows(module, other)]
    return False


@dataclass
class Reader:
    """Normalises statements of one module, and collects the nodes that they refer to."""

    text: ModuleText
    cut: frozenset[str]
    parts: list[str] = field(default_factory=list)
    refers: list[Node] = field(default_factory=list)
    mentions: set[str] = field(default_factory=set)

    def read(self, statement: ast.stmt) -> None:
        # A copy, because the tree is cached.
        self.parts.append(ast.dump(Normal(self).visit(copied(statement))))

    def meaning(self) -> Meaning:
        code = hashlib.sha256("\n".join(self.parts).encode()).hexdigest()
        return Meaning(code, tuple(self.refers), frozenset(self.mentions))

    def refer(self, node: Node) -> ast.expr:
        """The number that replaces a node, as an expression."""
        if node not in self.refers:
            self.refers.append(node)
        return ast.Name(f"<{self.refers.index(node)}>", ast.Load())

    def stand_in(self, target: Target) -> ast.expr:
        """The expression that replaces a name with this target."""
        if target.foreign:
            return ast.Name(target.foreign, ast.Load())
        return self.refer(Node(target.module, target.name or WHOLE))


Scope = dict[str, Target | None]


class Normal(ast.NodeTransformer):
    """Rewrites code for hashing: names in any scope are replaced by their targets."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        # Scopes, innermost last, each with a flag for class scopes, which nested functions do not see; None is a local
        # name.
        self.scopes: list[tuple[bool, Scope]] = []

    def generic_visit(self, node: ast.AST) -> ast.AST:
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [inner for inner in body if not (is_docstring(inner) or is_typing_only(inner))] or [ast.Pass()]  # type: ignore[attr-defined]
        return super().generic_visit(node)

    def _look_up(self, name: str) -> tuple[bool, Target | None]:
        """Whether a name is local, and its target otherwise."""
        for depth, (of_class, scope) in enumerate(reversed(self.scopes)):
            if name in scope and not (of_class and depth):
                return scope[name] is None, scope[name]
        return False, self.reader.text.find(name)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        local, target = self._look_up(node.id)
        if local or (target is None and node.id not in _DYNAMIC):
            return node
        stand_in = self._checked(target or Target(foreign=node.id))
        return stand_in if isinstance(node.ctx, ast.Load) else node

    def _checked(self, target: Target) -> ast.expr:
        if target.foreign.rpartition(".")[2] in _DYNAMIC:
            self.reader.refer(Node(self.reader.text.name, WHOLE))
        return self.reader.stand_in(target)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        target = self._dotted(node)
        if target is not None:
            return self._checked(target)
        self.reader.mentions.add(node.attr)
        node.value = self.visit(node.value)
        return node

    def _dotted(self, node: ast.expr) -> Target | None:
        """The target of `module.name`, where the left side is a module."""
        if isinstance(node, ast.Name):
            return self._look_up(node.id)[1]
        if not isinstance(node, ast.Attribute):
            return None
        left = self._dotted(node.value)
        if left is None or left.name:
            return None
        if left.foreign:
            return Target(foreign=f"{left.foreign}.{node.attr}")
        found = imported(self.reader.text.name, left.module, node.attr)
        return None if found.foreign else found

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        if isinstance(node.value, str) and node.value.isidentifier():
            self.reader.mentions.add(node.value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self._import_by_name(node)
        if isinstance(node.func, ast.Name) and node.func.id == "vars" and node.args:
            # A method of an object, whose class is reached elsewhere.
            node.args = [self.visit(item) for item in node.args]
            return node
        return self.generic_visit(node)

    def _import_by_name(self, node: ast.Call) -> None:
        called, given = ast.unparse(node.func).rpartition(".")[2], node.args[:1]
        if called in ("import_module", "__import__") and given and isinstance(given[0], ast.Constant):
            name = str(given[0].value)
            if follows(self.reader.text.name, name):
                self.reader.refer(Node(name, WHOLE))

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """An error without its message, which affects no result."""
        if isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name | ast.Attribute):
            node.exc = node.exc.func
        node.cause = None
        return self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> ast.AST | None:
        return self._visit_import(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return self._visit_import(node)

    def _visit_import(self, node: ast.Import | ast.ImportFrom) -> ast.AST | None:
        """An import in a function binds names; one in a top-level `if` or `try` counts with all names that it binds."""
        found = self._imports(node)
        for target in found.values():
            happens = effects(target.module) if target.module else None
            if happens:
                self.reader.refer(happens)
        if self.scopes:
            return ast.Pass()
        return ast.Expr(ast.Tuple([self.reader.stand_in(target) for target in found.values()], ast.Load()))

    def _imports(self, node: ast.stmt) -> dict[str, Target]:
        text = self.reader.text
        return {name: imported(text.name, *target) for name, target in imported_names(node, text.package)}

    def _scope(self, body: list[ast.stmt], names: set[str]) -> Scope:
        scope: Scope = dict.fromkeys(bound_in(body) | names)
        for node in (inner for statement in body for inner in ast.walk(statement)):
            if isinstance(node, ast.Import | ast.ImportFrom):
                scope.update(self._imports(node))
        return scope

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        plain = is_dataclass(node)
        node.body = [item for item in node.body if not (isinstance(item, FUNCTIONS) and item.name in self.reader.cut)]
        node.bases, node.keywords = [self.visit(base) for base in node.bases], [self.visit(w) for w in node.keywords]
        node.decorator_list = [self.visit(item) for item in node.decorator_list]
        for item in node.body:
            if isinstance(item, ast.AnnAssign) and plain:
                item.annotation = marker(item.annotation)
        self.scopes.append((True, self._scope(node.body, set())))
        node.body = self._visited(node.body)
        self.scopes.pop()
        return node

    def _visited(self, body: list[ast.stmt]) -> list[ast.stmt]:
        holder = ast.Module(body, [])
        self.generic_visit(holder)
        return [item for item in holder.body if not isinstance(item, ast.Pass)]

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if self.scopes and not self.scopes[-1][0]:
            return ast.Pass() if node.value is None else self.visit(as_assignment(node))
        # Names in annotations affect no result, but their text may.
        node.value = self.visit(node.value) if node.value else None
        node.target = self.visit(node.target)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        if not reads_annotations(node):
            node.returns = None
            for argument in all_arguments(node.args):
                argument.annotation = None
        node.decorator_list = [self.visit(item) for item in node.decorator_list]
        self._defaults(node.args)
        names = {argument.arg for argument in all_arguments(node.args)}
        self.scopes.append((False, self._scope(node.body, names)))
        node.body = self._visited(node.body)
        self.scopes.pop()
        return node

    def _defaults(self, arguments: ast.arguments) -> None:
        arguments.defaults = [self.visit(item) for item in arguments.defaults]
        arguments.kw_defaults = [item and self.visit(item) for item in arguments.kw_defaults]

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        self._defaults(node.args)
        self.scopes.append((False, dict.fromkeys(argument.arg for argument in all_arguments(node.args))))
        node.body = self.visit(node.body)
        self.scopes.pop()
        return node

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> ast.AST:
        names = [inner for part in node.generators for inner in ast.walk(part.target) if isinstance(inner, ast.Name)]
        # The first iterable is evaluated in the enclosing scope.
        node.generators[0].iter = self.visit(node.generators[0].iter)
        first, node.generators[0].iter = node.generators[0].iter, ast.Constant(0)
        self.scopes.append((False, dict.fromkeys(name.id for name in names)))
        super().generic_visit(node)
        self.scopes.pop()
        node.generators[0].iter = first
        return node

    def visit_ListComp(self, node: ast.ListComp) -> ast.AST:
        return self._comprehension(node)

    def visit_SetComp(self, node: ast.SetComp) -> ast.AST:
        return self._comprehension(node)

    def visit_DictComp(self, node: ast.DictComp) -> ast.AST:
        return self._comprehension(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.AST:
        return self._comprehension(node)
