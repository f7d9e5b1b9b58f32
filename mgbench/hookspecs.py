"""The hooks: one per kind, one for methods, one for references and three of a run's life.

Those of the kinds follow from `mgbench.recipes.kinds.TABLE`, the table of contents of the project.

A plugin is a module whose functions carry these names and `@hookimpl`. Each returns what the module offers, by name:
a component is a frozen dataclass whose fields are its options (signatures in `mgbench.interfaces.components`). Nothing is
registered at import and nothing is changed; a name offered twice is an error that names both plugins.

The hooks of a run's life return nothing. They are called in the process of each trial, of those plugins only that are named
with `--track`; one that raises is called no more, and the run goes on.
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
    """Methods: whole recipes under the names by which results call them."""


def _offers(kind: Kind) -> Callable[[], Mapping[str, type]]:
    """The hook of one kind: it returns components by name, each a class whose instances fit the protocol of the kind."""

    def hook() -> Mapping[str, type]:
        return {}

    hook.__name__ = hook.__qualname__ = kind.hook
    hook.__doc__ = f"{kind.question[0].upper()}{kind.question[1:]}"
    hook.__annotations__ = {"return": f"Mapping[str, type[{kind.protocol}]]"}
    return hookspec(hook)


# One for each row of the table of kinds; kinds of one hook share what is offered.
globals().update({hook: _offers(kind) for hook, kind in reversed([(kind.hook, kind) for kind in TABLE])})


@hookspec
def mgbench_references() -> "Mapping[str, str]":  # type: ignore[empty-body]
    """BibTeX entries by their keys, of the papers (`eprint`: the arXiv number) that docstrings of components name."""


@hookspec
def mgbench_run_started(run: "TrackedRun") -> None:
    """A trial begins: its tokenizer is fitted or its model trained next, unless they are stored already."""


@hookspec
def mgbench_step_logged(run: "TrackedRun", stage: str, step: int, values: "Mapping[str, float]") -> None:
    """So many steps of a stage ("tokenize", "train") are done, and these are its numbers: `loss`, `images_per_second`, …"""


@hookspec
def mgbench_run_finished(run: "TrackedRun", records: "Sequence[Record]") -> None:
    """A trial is over: the records of its rows, whether they are done, failed or were interrupted.

    It is not called where the process of the trial was killed.
    """
