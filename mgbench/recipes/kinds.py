"""The table of kinds: one question each, which a component answers.

Hooks, `mgbench list`, the tables of the documentation and the laws follow from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mgbench.recipes.spec import Spec

# What a choice decides first; `nothing` leaves every number as it is.
Decides = Literal["tokens", "model", "images", "scores", "nothing"]
STAGES: tuple[Decides, ...] = ("tokens", "model", "images", "scores")


@dataclass(frozen=True)
class Kind:
    """One question that a component answers.

    `default` is the usual answer, None where another component names it. `offered_as` is another kind that has the same
    components. `later` are methods that are first called in a later stage than the one the kind
    decides. `in_recipe` says whether a recipe has a field of this name.
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


TABLE = (
    Kind(
        "process",
        "how does an unfinished image become a finished one?",
        "model",
        Spec("masked"),
        plural="processes",
        later={"sample": "images", "bound": "scores"},
    ),
    Kind("dataset", "what are the images?", "tokens", Spec("digits")),
    Kind("tokenizer", "what is a token?", "tokens", Spec("patch"), later={"decode": "images"}),
    Kind("network", "what does the model see around a token?", "model", Spec("mae")),
    Kind(
        "head",
        "what value does a masked token take?",
        "model",
        Spec("diffusion"),
        later={"sample": "images", "log_likelihood": "scores"},
    ),
    Kind("mask_schedule", "what share of the tokens is masked at time t?", "model", Spec("cosine")),
    Kind("masking", "how many tokens of a training image are masked, and which?", "model", Spec("exact")),
    Kind("loss_weighting", "how much does t count in the loss?", "model", Spec("uniform")),
    Kind(
        "sampling_schedule",
        "the mask schedule of sampling, if it is another than training's",
        "images",
        offered_as="mask_schedule",
    ),
    Kind("time_grid", "at which times does sampling stop?", "images", Spec("uniform")),
    Kind("sampler", "which tokens are revealed next?", "images", Spec("random_order")),
    Kind("reuse", "must the network be asked in this step?", "images", Spec("none")),
    Kind("guidance_schedule", "how hard do we push towards the label at this step?", "images", Spec("none")),
    Kind("solver", "how does the head go from noise to a value?", "images"),
    Kind("code_draw", "which codes may be drawn, and how boldly?", "images", Spec("softmax")),
    Kind("extractor", "what does an image look like to a metric?", "scores"),
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
# The kind whose components a protocol describes, by the name of the protocol.
OF_PROTOCOL: dict[str, str] = {kind.protocol: kind.name for kind in TABLE if not kind.offered_as}
# Those that a recipe has a field for, which answers them once.
KINDS: dict[str, Kind] = {kind.name: kind for kind in TABLE if kind.in_recipe}
# Asked of every recipe, whatever its process; the others only when the process, or a component it asks, asks them.
ALWAYS_ASKED = ("process", "dataset", "tokenizer", "extractor")
# Methods by the stage that calls them first; `check` only says whether parts fit.
LATER: dict[str, Decides] = {
    "check": "nothing",
    "check_teacher": "nothing",
    **{name: at for kind in TABLE for name, at in kind.later.items()},
}
