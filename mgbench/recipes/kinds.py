"""The kinds: one question each, which a component answers."""

from dataclasses import dataclass
from typing import Literal

from mgbench.recipes.spec import Spec

Decides = Literal["tokens", "model", "images", "scores"]
STAGES: tuple[Decides, ...] = ("tokens", "model", "images", "scores")


@dataclass(frozen=True)
class Kind:
    """One question that a component answers."""

    name: str
    question: str
    decides: Decides
    default: Spec | None
    plural: str = ""

    @property
    def hook(self) -> str:
        """The hook through which plugins offer components of this kind."""
        return f"mgbench_{self.plural or self.name + 's'}"


_KINDS = (
    Kind("process", "how does an unfinished image become a finished one?", "model", Spec("masked"), "processes"),
    Kind("dataset", "what are the images?", "tokens", Spec("digits")),
    Kind("tokenizer", "what is a token?", "tokens", Spec("patch")),
    Kind("network", "what does the model see around a token?", "model", Spec("mae")),
    Kind("head", "what value does a masked token take?", "model", Spec("diffusion")),
    Kind("mask_schedule", "what share of the tokens is masked at time t?", "model", Spec("cosine")),
    Kind("masking", "how many tokens of a training image are masked, and which?", "model", Spec("exact")),
    Kind("loss_weighting", "how much does time t count in the loss?", "model", Spec("uniform")),
    Kind(
        "sampling_schedule",
        "the mask schedule of sampling, if it is another than training's",
        "images",
        None,
        "mask_schedules",
    ),
    Kind("time_grid", "at which times does sampling stop?", "images", Spec("uniform")),
    Kind("sampler", "which tokens are revealed next?", "images", Spec("random_order")),
    Kind("guidance_schedule", "how hard do we push towards the label at this step?", "images", Spec("none")),
    Kind("solver", "how does the head go from noise to a value?", "images", None),
    Kind("code_draw", "which codes may be drawn, and how boldly?", "images", Spec("softmax")),
    Kind("extractor", "what does an image look like to a metric?", "scores", None),
)
KINDS: dict[str, Kind] = {kind.name: kind for kind in _KINDS}
# Asked of every recipe, whatever its process; the others only when the process, or a component it asks, asks them.
ALWAYS_ASKED = ("process", "dataset", "tokenizer", "extractor")
