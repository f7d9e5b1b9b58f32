"""The code of the stages that each key depends on: loops and arithmetic, by name.

Code that is reached neither from here nor from a component, such as a progress bar, affects no key.
"""

from functools import cache

from mgbench.recipes.fingerprint import Reached, reached
from mgbench.recipes.kinds import LATER, STAGES, Decides
from mgbench.recipes.modules import read_module
from mgbench.recipes.normal import Node

STAGE_CODE: dict[Decides, tuple[str, ...]] = {
    "tokens": ("mgbench.stages.tokenize:fit_steps",),
    "model": (
        "mgbench.stages.train:initial_model",
        "mgbench.stages.train:training_data",
        "mgbench.stages.train:Training",
    ),
    "images": ("mgbench.stages.sample:sample_images", "mgbench.stages.cost:sampling_costs"),
    "scores": (
        "mgbench.stages.extract:extract",
        "mgbench.stages.evaluate:compute_scores",
        "mgbench.stages.likelihood:held_out_bound",
        "mgbench.trials.image_scores:score_images",
        "mgbench.trials.real_features:reference_of",
    ),
}
# Only rows about tokenizers depend on these.
RECONSTRUCTION = ("mgbench.stages.tokenize:reconstruct",)
# Only models with a teacher depend on these.
TAUGHT = ("mgbench.stages.teach:taught",)
# Only scores against a half of the held-out images depend on these.
HALVED = ("mgbench.stages.reference:reference_images",)
# Code that stores or reports something, and affects no number.
SILENT = (
    "mgbench.components.checkpoints.tensor_names",
    "mgbench.errors",
    "mgbench.hookspecs",
    "mgbench.interfaces.images",
    "mgbench.interfaces.progress",
    "mgbench.recipes",
    "mgbench.results",
    "mgbench.stages.evaluate:small_sample_warning",
    "mgbench.trials.image_scores:_warnings",
)
# Measurements of training, which do not affect it.
UNMEASURED: dict[Decides, tuple[str, ...]] = {"tokens": ("mgbench.stages.cost",), "model": ("mgbench.stages.cost",)}


def upto(stage: Decides) -> tuple[Decides, ...]:
    """A stage and the stages before it."""
    return STAGES[: STAGES.index(stage) + 1]


@cache
def stage_code(names: tuple[str, ...], stage: Decides, cut: frozenset[str]) -> Reached:
    """The code that these definitions reach, without parts that belong to later stages.

    Raises:
        LookupError: if a definition does not exist.
    """
    stops = frozenset(SILENT + UNMEASURED.get(stage, ()))
    return reached(tuple(_node(name) for name in names), cut, stops)


def _node(name: str) -> Node:
    module, _, definition = name.partition(":")
    text = read_module(module)
    if text is None or definition not in text.statements:
        raise LookupError(f"{name} is no more: say in mgbench/recipes/stage_code.py what the results rest on instead")
    return Node(module, definition)


def undecided(stage: Decides) -> frozenset[str]:
    """Methods of components that are called only after a stage, or affect no result."""
    return frozenset(name for name, at in LATER.items() if at not in upto(stage))


@cache
def code_of(makers: tuple[Node, ...], names: tuple[str, ...], stage: Decides) -> tuple[str, tuple[str, ...]]:
    """The hash of the code of a stage, and one for each component, without parts that belong to later stages.

    A method of a later stage is kept if the remaining code mentions its name.
    """
    cut = undecided(stage)
    while True:
        parts = [stage_code(names, stage, cut), *(reached((maker,), cut, frozenset(SILENT)) for maker in makers)]
        mentioned = cut & frozenset().union(*(part.mentions for part in parts))
        if not mentioned:
            return parts[0].code, tuple(part.code for part in parts[1:])
        cut -= mentioned
