"""Hook specifications: one for each kind, one for recipes, one for BibTeX entries, and three for trackers of
experiments.

The hooks of the kinds are generated from `mgbench.recipes.kinds.TABLE`.

A plugin is a module with functions of these names, decorated with `@hookimpl`. Each returns a mapping from names to
what the module offers; a component is a frozen dataclass whose fields are its options (protocols in
`mgbench.interfaces.components`). Hooks have no side effects. A name offered twice is an error that names both plugins.

The hooks for trackers return nothing. They are called in the process of each trial, only for the plugins named with
`--track`. If one raises, it is not called again and the trial continues.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import pluggy

from mgbench.recipes.kinds import TABLE, Kind

if TYPE_CHECKING:
    from mgbench.interfaces.tracking import TrackedRun
    from mgbench.recipes.recipe import Recipe
    from mgbench.results.record import Record

hookspec = pluggy.HookspecMarker("mgbench")
hookimpl = pluggy.HookimplMarker("mgbench")


@hookspec
def mgbench_recipes() -> "Mapping[str, Recipe]":  # type: ignore[empty-body]
    """Methods: complete recipes by name; results show this name."""


def _offers(kind: Kind) -> Callable[[], Mapping[str, type]]:
    """The hook of one kind, which returns component classes by name; their instances follow the protocol of the kind."""

    def hook() -> Mapping[str, type]:
        return {}

    hook.__name__ = hook.__qualname__ = kind.hook
    hook.__doc__ = f"{kind.question[0].upper()}{kind.question[1:]}"
    hook.__annotations__ = {"return": f"Mapping[str, type[{kind.protocol}]]"}
    return hookspec(hook)


# Several kinds may share one hook, and so the components that it returns.
globals().update({hook: _offers(kind) for hook, kind in reversed([(kind.hook, kind) for kind in TABLE])})


@hookspec
def mgbench_references() -> "Mapping[str, str]":  # type: ignore[empty-body]
    """BibTeX entries by their keys, of the papers (`eprint`: the arXiv number) that docstrings of components name."""


@hookspec
def mgbench_run_started(run: "TrackedRun") -> None:
    """Called when a trial starts, before its tokenizer is fitted or its model trained."""


@hookspec
def mgbench_step_logged(run: "TrackedRun", stage: str, step: int, values: "Mapping[str, float]") -> None:
    """Called after `step` steps of a stage ("tokenize" or "train") with its current `values`: `loss`,
    `images_per_second`, …
    """


@hookspec
def mgbench_run_finished(run: "TrackedRun", records: "Sequence[Record]") -> None:
    """Called when a trial ends, with the records of all its rows, whether done, failed or interrupted.

    It is not called if the process of the trial was killed.
    """
