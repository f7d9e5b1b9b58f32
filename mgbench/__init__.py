"""Compare masked image generation models: every design choice is a component that can be exchanged, every result is a
row.

The names below are imported on first use, so that `import mgbench` is fast and does not import torch. Those with
capital letters, besides Recipe, Spec, Study and the errors, are the protocols of the kinds: types of what a plugin
offers.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mgbench.interfaces.moved import install as install_moved_paths

if TYPE_CHECKING:
    from mgbench.cli.library import load_model, plan, run, sample
    from mgbench.errors import Unfit, UserError
    from mgbench.hookspecs import hookimpl
    from mgbench.interfaces.components import (
        CodeDraw,
        Dataset,
        Extractor,
        GuidanceSchedule,
        Head,
        LossWeighting,
        Masking,
        MaskSchedule,
        Metric,
        Network,
        Process,
        Reuse,
        Sampler,
        Solver,
        TimeGrid,
        Tokenizer,
    )
    from mgbench.interfaces.engine import Engine
    from mgbench.recipes.recipe import Recipe
    from mgbench.recipes.spec import Spec
    from mgbench.recipes.study import Study
    from mgbench.report.frame import read_results

install_moved_paths()

__version__ = "0.1.0"
__all__ = [
    "CodeDraw",
    "Dataset",
    "Engine",
    "Extractor",
    "GuidanceSchedule",
    "Head",
    "LossWeighting",
    "MaskSchedule",
    "Masking",
    "Metric",
    "Network",
    "Process",
    "Recipe",
    "Reuse",
    "Sampler",
    "Solver",
    "Spec",
    "Study",
    "TimeGrid",
    "Tokenizer",
    "Unfit",
    "UserError",
    "hookimpl",
    "load_model",
    "plan",
    "read_results",
    "run",
    "sample",
]

_PROTOCOLS = (
    "CodeDraw",
    "Dataset",
    "Extractor",
    "GuidanceSchedule",
    "Head",
    "LossWeighting",
    "MaskSchedule",
    "Masking",
    "Metric",
    "Network",
    "Process",
    "Reuse",
    "Sampler",
    "Solver",
    "TimeGrid",
    "Tokenizer",
)
_HOMES = {
    **dict.fromkeys(_PROTOCOLS, "mgbench.interfaces.components"),
    "Engine": "mgbench.interfaces.engine",
    **dict.fromkeys(("load_model", "plan", "run", "sample"), "mgbench.cli.library"),
    "Recipe": "mgbench.recipes.recipe",
    "Spec": "mgbench.recipes.spec",
    "Study": "mgbench.recipes.study",
    "Unfit": "mgbench.errors",
    "UserError": "mgbench.errors",
    "hookimpl": "mgbench.hookspecs",
    "read_results": "mgbench.report.frame",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mgbench' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
