"""Citations of a study: the papers named in the docstrings of its components and of the plugins of its methods.

If the docstring of a component names no paper, those in the docstring of its module count.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mgbench.interfaces.bibtex import field, papers
from mgbench.recipes.kinds import KINDS
from mgbench.recipes.spec import Spec
from mgbench.registry.registry import Registry


def references(registry: Registry, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """BibTeX entries of the papers that rows rely on, each once, below a comment with the methods and components that
    name it.

    `rows` are pairs of a method and its recipe in full. A paper without an entry in any loaded plugin becomes a
    comment.
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
    """The docstring with the papers of a component: its own or, if that names none, that of its module."""
    own = maker.__doc__ or ""
    return own if any(papers(own)) else sys.modules[maker.__module__].__doc__ or ""


def _docstrings(registry: Registry, method: str, recipe: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and docstrings of everything that a row uses: the plugin of the method, then all components, nested ones
    included.
    """
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
