"""References of a study: the papers that the docstrings of its components, and of its methods' plugins, name.

A component whose own docstring names no paper belongs to those of its file: one paper, one file.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mgbench.interfaces.bibtex import field, papers
from mgbench.recipes.kinds import KINDS
from mgbench.recipes.spec import Spec
from mgbench.registry.registry import Registry


def references(registry: Registry, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """BibTeX of the papers that rows use, given as methods and their spelled-out recipes; each entry once, after who asks for it.

    A paper that no loaded plugin has an entry for is named in a comment.
    """
    askers: dict[str, list[str]] = {}
    for method, recipe in rows:
        for asker, docstring in _docstrings(registry, method, recipe):
            for paper in papers(docstring):
                if asker not in askers.setdefault(paper, []):
                    askers[paper].append(asker)
    entries = {field(entry, "eprint"): entry for offered in registry.references.values() for entry in offered.values()}
    parts = [
        f"% {', '.join(asked)}\n{entries.get(paper, f'% arXiv:{paper}, which no plugin has an entry for')}"
        for paper, asked in sorted(askers.items())
    ]
    return "\n\n".join(parts)


def source_of(maker: type) -> str:
    """The docstring that names the papers of a component: its own or, where that names none, its file's."""
    own = maker.__doc__ or ""
    return own if any(papers(own)) else sys.modules[maker.__module__].__doc__ or ""


def _docstrings(registry: Registry, method: str, recipe: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Everything that a row uses, with its docstring: the plugin of the method, then every component down to the inner ones."""
    for plugin, recipes in registry.recipes.items():
        if method in recipes:
            yield plugin, registry.docstrings.get(plugin, "")
    for kind in KINDS:
        if recipe.get(kind) is not None:
            yield from _component(registry, kind, Spec.parse(recipe[kind]))
    for metric in recipe.get("metrics") or ():
        yield from _component(registry, "metric", Spec.parse(metric))


def _component(registry: Registry, kind: str, spec: Spec) -> Iterator[tuple[str, str]]:
    for maker in registry.makers(kind, spec):
        yield f"{kind} {spec.name}", source_of(maker)
