"""Old import paths from the plugin documentation, which keep working for one version with a DeprecationWarning."""

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

# Former modules, and the modules that hold their names now.
MOVED = {
    "mgbench.bibtex": ("mgbench.interfaces.bibtex",),
    "mgbench.components.blocks": ("mgbench.components.networks.blocks",),
    "mgbench.components.maskings": ("mgbench.components.schedules.maskings",),
    "mgbench.components.noise": ("mgbench.components.heads.noise_schedule",),
    "mgbench.components.selection": ("mgbench.components.samplers.plans",),
    "mgbench.components.solvers": ("mgbench.components.heads.solvers",),
    "mgbench.jobs": ("mgbench.interfaces.engine",),
    "mgbench.kinds": ("mgbench.interfaces.components", "mgbench.interfaces.data"),
    "mgbench.modules": ("mgbench.interfaces.modules", "mgbench.interfaces.components"),
    "mgbench.recipe": ("mgbench.recipes.recipe", "mgbench.recipes.kinds", "mgbench.recipes.keys"),
    "mgbench.record": ("mgbench.results.record", "mgbench.results.layout", "mgbench.results.schema"),
    "mgbench.spec": ("mgbench.recipes.spec",),
    "mgbench.steps": ("mgbench.interfaces.sampling",),
    "mgbench.streams": ("mgbench.interfaces.randomness",),
    "mgbench.tracking": ("mgbench.interfaces.tracking",),
}


class MovedFinder(MetaPathFinder, Loader):
    """Import finder that serves an old module path from the modules that replaced it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module that moved; None for any other."""
        return ModuleSpec(fullname, self) if fullname in MOVED else None

    def homes(self, fullname: str) -> tuple[str, ...]:
        """The modules that now hold the names of an old module."""
        return MOVED[fullname]

    def exec_module(self, module: ModuleType) -> None:
        """Fill the old module with the names of the new ones, and warn with their new location."""
        homes = MOVED[module.__name__]
        warnings.warn(f"{module.__name__} moved: import from {' or '.join(homes)}", DeprecationWarning, stacklevel=2)
        for home in homes:
            names = vars(import_module(home))
            vars(module).update({name: value for name, value in names.items() if not name.startswith("__")})


def install() -> None:
    """Install the finder last, so that modules that exist take precedence."""
    if not any(isinstance(finder, MovedFinder) for finder in sys.meta_path):
        sys.meta_path.append(MovedFinder())
