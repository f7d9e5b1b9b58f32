"""Old paths of modules that plugins were told to import: they work for one version, with a DeprecationWarning."""

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

# Modules of before, and where their names lie now; where names went to several modules, all of these.
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


class MovedFinder:
    """Import finder that serves an old module path from the modules that replaced it.

    It is a finder and loader by its methods: `importlib.abc` takes longer to import than the rest of a start of `mgbench`.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module that moved; None for any other."""
        return ModuleSpec(fullname, self) if fullname in MOVED else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave the making of the module to Python."""

    def homes(self, fullname: str) -> tuple[str, ...]:
        """The modules that now hold the names of an old module."""
        return MOVED[fullname]

    def exec_module(self, module: ModuleType) -> None:
        """Fill the old module with the names of the new ones, and say where they are now."""
        homes = MOVED[module.__name__]
        warnings.warn(f"{module.__name__} moved: import from {' or '.join(homes)}", DeprecationWarning, stacklevel=2)
        for home in homes:
            names = vars(import_module(home))
            vars(module).update({name: value for name, value in names.items() if not name.startswith("__")})


def install() -> None:
    """Let old paths be found, after everything that really exists."""
    if not any(isinstance(finder, MovedFinder) for finder in sys.meta_path):
        sys.meta_path.append(MovedFinder())
