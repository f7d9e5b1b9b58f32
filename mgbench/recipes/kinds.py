"""The table of kinds; each is one question about a model, which a component answers.

Fields of recipes, hooks, `mgbench list`, tables of the documentation and the tests of laws are generated from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from mgbench.recipes.spec import Spec

# The first stage whose results depend on a choice; `nothing` if no result does.
Decides = Literal["tokens", "model", "images", "scores", "nothing"]
STAGES: tuple[Decides, ...] = ("tokens", "model", "images", "scores")


@dataclass(frozen=True)
class Kind:
    """One question that a component answers.

    `default` is None if another component names it. `offered_as` is another kind with the same components. `later`
    lists methods that are first called in a later stage than the one that the kind decides. `in_recipe` tells whether a
    recipe has a field of this name.
    """

    name: str
    question: str
    decides: Decides
    default: Spec | None = None
    plural: str = ""
    offered_as: str = ""
    later: Mapping[str, Decides] = field(default_factory=dict)
    in_recipe: bool = True

    @property
    def hook(self) -> str:
        """The hook through which plugins offer components of this kind."""
        return f"mgbench_{self.plural or (self.offered_as or self.name) + 's'}"

    @property
    def protocol(self) -> str:
        """The protocol of its components, in `mgbench.interfaces.components` (an engine's in `mgbench.interfaces.engine`)."""
        return "".join(word.title() for word in (self.offered_as or self.name).split("_"))


def _kind(
    question: str,
    decides: Decides,
    default: Spec | None = None,
    plural: str = "",
    offered_as: str = "",
    later: Mapping[str, Decides] | None = None,
) -> Any:
    """A field of a recipe that answers a kind; None is the default of the kind."""

    def row(name: str) -> Kind:
        return Kind(name, question, decides, default, plural, offered_as, later or {})

    return field(default=None, metadata={"kind": row})


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The part of a recipe that answers the kinds: a field for each, None for the default of the kind."""

    process: Spec | None = _kind(
        "how does an unfinished image become a finished one?",
        "model",
        Spec("masked"),
        plural="processes",
        later={"sample": "images", "bound": "scores"},
    )
    dataset: Spec | None = _kind("what are the images?", "tokens", Spec("digits"))
    tokenizer: Spec | None = _kind("what is a token?", "tokens", Spec("patch"), later={"decode": "images"})
    network: Spec | None = _kind("what does the model see around a token?", "model", Spec("mae"))
    head: Spec | None = _kind(
        "what value does a masked token take?",
        "model",
        Spec("diffusion"),
        later={"sample": "images", "log_likelihood": "scores"},
    )
    mask_schedule: Spec | None = _kind("what share of the tokens is masked at time t?", "model", Spec("cosine"))
    masking: Spec | None = _kind("how many tokens of a training image are masked, and which?", "model", Spec("exact"))
    loss_weighting: Spec | None = _kind("how much does t count in the loss?", "model", Spec("uniform"))
    sampling_schedule: Spec | None = _kind(
        "the mask schedule of sampling, if it is another than training's", "images", offered_as="mask_schedule"
    )
    time_grid: Spec | None = _kind("at which times does sampling stop?", "images", Spec("uniform"))
    sampler: Spec | None = _kind("which tokens are revealed next?", "images", Spec("random_order"))
    reuse: Spec | None = _kind("must the network be asked in this step?", "images", Spec("none"))
    guidance_schedule: Spec | None = _kind(
        "how hard do we push towards the label at this step?", "images", Spec("none")
    )
    solver: Spec | None = _kind("how does the head go from noise to a value?", "images")
    code_draw: Spec | None = _kind("which codes may be drawn, and how boldly?", "images", Spec("softmax"))
    extractor: Spec | None = _kind("what does an image look like to a metric?", "scores")


TABLE: tuple[Kind, ...] = (
    *(item.metadata["kind"](item.name) for item in fields(Answers)),
    Kind(
        "metric",
        "how far are the images from the real ones?",
        "scores",
        later={"check_counts": "nothing", "statistics": "nothing"},
        in_recipe=False,
    ),
    Kind("engine", "where do trials run?", "nothing", in_recipe=False),
)
EVERY_KIND: dict[str, Kind] = {kind.name: kind for kind in TABLE}
# Kinds by the name of their protocol.
OF_PROTOCOL: dict[str, str] = {kind.protocol: kind.name for kind in TABLE if not kind.offered_as}
# The kinds that are fields of a recipe.
KINDS: dict[str, Kind] = {kind.name: kind for kind in TABLE if kind.in_recipe}
# The kinds that every recipe uses; the others are used only if the process, or a component in use, asks for them.
ALWAYS_ASKED = ("process", "dataset", "tokenizer", "extractor")
# Methods by the stage that first calls them; `check` affects no result.
LATER: dict[str, Decides] = {
    "check": "nothing",
    "check_teacher": "nothing",
    "artifacts": "nothing",
    **{name: at for kind in TABLE for name, at in kind.later.items()},
}
