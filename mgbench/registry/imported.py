"""Offer imported weights as methods of a plugin without code."""

from collections.abc import Iterable

from mgbench.errors import UserError
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.source import Source
from mgbench.registry.loading import find, load
from mgbench.registry.registry import Registry
from mgbench.results.imported import imported
from mgbench.results.layout import Layout

PLUGIN = "imported"


def load_with_imported(plugins: Iterable[str], layout: Layout) -> Registry:
    """Everything installed, further plugins by name, file or module, and the weights imported into a results folder.

    Raises:
        UserError: if a plugin does not exist or cannot be loaded.
    """
    registry = load([find(name) for name in plugins])
    add_imported(registry, layout)
    return registry


def add_imported(registry: Registry, layout: Layout) -> None:
    """Add the weights imported into a results folder as methods; unreadable ones and taken names become problems."""
    taken = registry.methods.keys()
    for found in imported(layout):
        if found.name in taken:
            registry.problems[f"{PLUGIN} {found.name}"] = (
                f"{found.folder} has the name of a method; import it with another --as"
            )
            continue
        try:
            registry.recipes.setdefault(PLUGIN, {})[found.name] = Recipe.of(**found.fields)
        except UserError as error:
            registry.problems[f"{PLUGIN} {found.name}"] = str(error)
    if PLUGIN in registry.recipes:
        registry.sources[PLUGIN] = Source(PLUGIN, __name__, "mgbench")
        registry.docstrings[PLUGIN] = "Weights that 'mgbench import' read."
