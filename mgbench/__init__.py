"""Compare masked image generation models: every design choice is a component that can be exchanged, every result is a
row.

The names below are imported on first use, so that `import mgbench` is fast and does not import torch. Those with
capital letters, besides Recipe, Spec, Study and the errors, are the protocols of the kinds: types of what a plugin
offers. Names, their modules and their types are read from `__init__.pyi`.
"""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

from mgbench.interfaces.moved import install as install_moved_paths

install_moved_paths()

__version__ = "0.1.0"

_STUB = Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")
_HOMES = {name: module for module, name in re.findall(r"^from (\S+) import (\w+) as \2$", _STUB, re.MULTILINE)}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mgbench' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
