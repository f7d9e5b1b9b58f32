"""The hooks, one per kind, one for methods, one for references and three of a run's life: the table of contents of the project.

A plugin is a module whose functions carry these names and `@hookimpl`. Each returns what the module offers, by name:
a component is a frozen dataclass whose fields are its options (signatures in `mgbench.interfaces.components`). Nothing is
registered at import and nothing is changed; a name offered twice is an error that names both plugins.

The hooks of a run's life return nothing. They are called in the process of each trial, of those plugins only that are named
with `--track`; one that raises is called no more, and the run goes on.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from mgbench.interfaces import components as kinds
    from mgbench.interfaces import engine as jobs
    from mgbench.interfaces.tracking import TrackedRun
    from mgbench.recipes.recipe import Recipe
    from mgbench.results.record import Record

hookspec = pluggy.HookspecMarker("mgbench")
hookimpl = pluggy.HookimplMarker("mgbench")


@hookspec
def mgbench_recipes() -> "Mapping[str, Recipe]":  # type: ignore[empty-body]
    """Methods: whole recipes under the names by which results call them."""


@hookspec
def mgbench_processes() -> "Mapping[str, type[kinds.Process[Any]]]":  # type: ignore[empty-body]
    """How does an unfinished image become a finished one?"""


@hookspec
def mgbench_datasets() -> "Mapping[str, type[kinds.Dataset]]":  # type: ignore[empty-body]
    """What are the images?"""


@hookspec
def mgbench_tokenizers() -> "Mapping[str, type[kinds.Tokenizer]]":  # type: ignore[empty-body]
    """What is a token?"""


@hookspec
def mgbench_networks() -> "Mapping[str, type[kinds.Network]]":  # type: ignore[empty-body]
    """What does the model see around a token?"""


@hookspec
def mgbench_heads() -> "Mapping[str, type[kinds.Head]]":  # type: ignore[empty-body]
    """What value does a masked token take?"""


@hookspec
def mgbench_mask_schedules() -> "Mapping[str, type[kinds.MaskSchedule]]":  # type: ignore[empty-body]
    """What share of the tokens is masked at time t?"""


@hookspec
def mgbench_maskings() -> "Mapping[str, type[kinds.Masking]]":  # type: ignore[empty-body]
    """How many tokens of a training image are masked, and which?"""


@hookspec
def mgbench_loss_weightings() -> "Mapping[str, type[kinds.LossWeighting]]":  # type: ignore[empty-body]
    """How much does time t count in the loss?"""


@hookspec
def mgbench_time_grids() -> "Mapping[str, type[kinds.TimeGrid]]":  # type: ignore[empty-body]
    """At which times does sampling stop?"""


@hookspec
def mgbench_samplers() -> "Mapping[str, type[kinds.Sampler]]":  # type: ignore[empty-body]
    """Which tokens are revealed next?"""


@hookspec
def mgbench_guidance_schedules() -> "Mapping[str, type[kinds.GuidanceSchedule]]":  # type: ignore[empty-body]
    """How hard do we push towards the label at this step?"""


@hookspec
def mgbench_solvers() -> "Mapping[str, type[kinds.Solver]]":  # type: ignore[empty-body]
    """How does the head go from noise to a value?"""


@hookspec
def mgbench_code_draws() -> "Mapping[str, type[kinds.CodeDraw]]":  # type: ignore[empty-body]
    """Which codes may be drawn, and how boldly?"""


@hookspec
def mgbench_extractors() -> "Mapping[str, type[kinds.Extractor]]":  # type: ignore[empty-body]
    """What does an image look like to a metric?"""


@hookspec
def mgbench_metrics() -> "Mapping[str, type[kinds.Metric]]":  # type: ignore[empty-body]
    """How far are the images from the real ones?"""


@hookspec
def mgbench_engines() -> "Mapping[str, type[jobs.Engine]]":  # type: ignore[empty-body]
    """Where do trials run?"""


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
