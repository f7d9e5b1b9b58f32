"""Everything that decides one run, and the keys under which its results live."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_type_hints

from mgbench.errors import UserError, suggestion
from mgbench.spec import Count, Index, NotNegative, Positive, Share, Spec, checked

Decides = Literal["tokens", "model", "images", "scores"]
STAGES: tuple[Decides, ...] = ("tokens", "model", "images", "scores")

# Raised when the loops themselves change what a recipe produces, so that older results are not taken for newer ones.
PROTOCOL_VERSION = 2


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


def _setting(decides: Decides, default: Any) -> Any:
    return field(default=default, metadata={"decides": decides})


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A spec per kind (None: the default of the kind), the budget and the seed.

    Raises:
        UserError: if a value does not fit its field.
    """

    process: Spec | None = None
    dataset: Spec | None = None
    tokenizer: Spec | None = None
    network: Spec | None = None
    head: Spec | None = None
    mask_schedule: Spec | None = None
    masking: Spec | None = None
    loss_weighting: Spec | None = None
    sampling_schedule: Spec | None = None
    time_grid: Spec | None = None
    sampler: Spec | None = None
    guidance_schedule: Spec | None = None
    solver: Spec | None = None
    code_draw: Spec | None = None
    extractor: Spec | None = None
    metrics: tuple[Spec, ...] = field(
        default=(Spec("fid"), Spec("kid"), Spec("accuracy")), metadata={"decides": "scores"}
    )

    labels: bool = _setting("model", True)
    train_steps: Count = _setting("model", 1000)
    batch_size: Count = _setting("model", 64)
    learning_rate: Positive = _setting("model", 1e-3)
    warmup_steps: Index = _setting("model", 50)
    lr_decay: Literal["constant", "cosine"] = _setting("model", "constant")
    weight_decay: NotNegative = _setting("model", 0.02)
    clip: Positive = _setting("model", 3.0)
    ema: Share = _setting("model", 0.999)
    precision: Literal["auto", "float32", "bfloat16"] = _setting("model", "auto")
    seed: Index = _setting("model", 0)
    sampling_steps: Count = _setting("images", 16)
    balanced_labels: bool = _setting("images", True)
    samples: Index = _setting("images", 0)

    def __post_init__(self) -> None:
        types = get_type_hints(Recipe, include_extras=True)
        for name in types:
            value = _read_field(name, getattr(self, name))
            object.__setattr__(self, name, checked(types[name], value, f"recipe: {name}"))

    @classmethod
    def of(cls, **fields: Any) -> "Recipe":
        """A recipe with some fields given, specs as text: `Recipe.of(mask_schedule="exp(rate=3)")`; raises as `change`."""
        return cls().change(**fields)

    def change(self, **fields: Any) -> "Recipe":
        """The same recipe with some fields replaced.

        Raises:
            UserError: if there is no such field or the value does not fit it.
        """
        for name in fields:
            check_field(name)
        return dataclasses.replace(self, **fields)

    def spelled(self) -> dict[str, Any]:
        """Every field in plain values: specs as they are spelled."""
        return {item.name: _plain(getattr(self, item.name)) for item in dataclasses.fields(self)}


def _read_field(name: str, value: Any) -> Any:
    if name in KINDS and isinstance(value, str):
        return Spec.parse(value)
    if name == "metrics":
        specs = (value,) if isinstance(value, str | Spec) else value
        texts = isinstance(specs, tuple | list) and all(isinstance(item, str | Spec) for item in specs)
        return tuple(Spec.parse(item) for item in specs) if texts else value
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Spec) else value


FIELDS: dict[str, dataclasses.Field[Any]] = {item.name: item for item in dataclasses.fields(Recipe)}


def check_field(name: str) -> None:
    """Refuse a name that is no field of a recipe.

    Raises:
        UserError: with the nearest name.
    """
    if name not in FIELDS:
        raise UserError(f"a recipe has no field {name!r}; {suggestion(name, FIELDS)}")


def decides(name: str) -> Decides:
    """What a field of a recipe decides first: the tokens, the model, the images or only the scores."""
    stage: Decides = KINDS[name].decides if name in KINDS else FIELDS[name].metadata["decides"]
    return stage


@dataclass(frozen=True)
class Answer:
    """What a recipe's field amounts to once it is looked up: only what differs from the defaults, and the source it runs."""

    spelling: str
    source: str = ""


@dataclass(frozen=True)
class Keys:
    """Where the results of a recipe live: hashes of all that decides its tokenizer, its model, its images and scores.

    `reconstruction` is of all that decides how images are scored that only went through the tokenizer.
    """

    tokenizer: str
    training: str
    run: str
    reconstruction: str


def make_keys(recipe: Recipe, answers: Mapping[str, Answer], data_fingerprint: str) -> Keys:
    """Hash what decides each stage: the answers of the kinds asked, the settings changed from their defaults, the data."""
    entries: dict[Decides, dict[str, Any]] = {stage: {} for stage in STAGES}
    for name, answer in answers.items():
        entries[decides(name)][name] = [answer.spelling, answer.source]
    for name, item in FIELDS.items():
        value = getattr(recipe, name)
        if name not in KINDS and name not in answers and value != item.default:
            entries[decides(name)][name] = _plain(value)
    upto = [{stage: entries[stage] for stage in STAGES[: count + 1]} for count in range(len(STAGES))]
    common = {"version": PROTOCOL_VERSION, "data": data_fingerprint}
    tokenizer, training, run = (
        digest({**common, **upto[STAGES.index(stage)]}) for stage in ("tokens", "model", "scores")
    )
    judged = {stage: entries[stage] for stage in ("tokens", "scores")}
    return Keys(tokenizer, training, run, digest({**common, **judged, "reconstructed": recipe.samples}))


def digest(content: Any) -> str:
    """A short hash of plain values (16 hexadecimal digits)."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
