"""Compare masked image generation models: every design choice an interchangeable component, every result a row.

What a plugin author needs is here; it is imported on first use, so that `import mgbench` stays instant and free of torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mgbench.interfaces.moved import install as install_moved_paths

if TYPE_CHECKING:
    from mgbench.errors import Unfit, UserError
    from mgbench.hookspecs import hookimpl
    from mgbench.recipes.recipe import Recipe
    from mgbench.recipes.spec import Spec
    from mgbench.report.frame import read_results

install_moved_paths()

__version__ = "0.1.0"
__all__ = ["Recipe", "Spec", "Unfit", "UserError", "hookimpl", "read_results"]

_HOMES = {
    "Recipe": "mgbench.recipes.recipe",
    "Spec": "mgbench.recipes.spec",
    "Unfit": "mgbench.errors",
    "UserError": "mgbench.errors",
    "hookimpl": "mgbench.hookspecs",
    "read_results": "mgbench.report.frame",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mgbench' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
