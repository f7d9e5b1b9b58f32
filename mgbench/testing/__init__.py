"""Property tests ("laws") of each kind, for the tests of mgbench and of plugins.

A law is a function in `mgbench.testing.laws` with the name of its kind. It takes a component and raises
`AssertionError` with a sentence about the violated property. See also `mgbench.testing.toys`.
"""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from inspect import isfunction
from pkgutil import iter_modules

from mgbench.recipes.kinds import EVERY_KIND
from mgbench.testing import laws

Law = Callable[..., None]


def _laws() -> Iterator[tuple[str, Law]]:
    for file in iter_modules(laws.__path__, f"{laws.__name__}."):
        module = import_module(file.name)
        yield from ((name, law) for name, law in vars(module).items() if name in EVERY_KIND and isfunction(law))


LAWS: Mapping[str, Law] = dict(_laws())


def __getattr__(name: str) -> Law:
    """The law of a kind."""
    if name not in LAWS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return LAWS[name]
