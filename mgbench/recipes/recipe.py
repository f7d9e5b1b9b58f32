"""Recipes: the complete settings of one run."""

import dataclasses
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, get_type_hints

from annotated_types import MinLen
from pydantic import StringConstraints

from mgbench.errors import UserError, suggestion
from mgbench.recipes.kinds import KINDS, Answers, Decides
from mgbench.recipes.spec import Count, Index, NotNegative, Positive, Share, Spec, checked, parse_list


def _setting(decides: Decides, default: object, about: str, trains: bool = False) -> Any:
    return field(default=default, metadata={"decides": decides, "about": about, "trains": trains})


def _training(default: object, about: str) -> Any:
    """A setting of the training, which does not apply to imported weights."""
    return _setting("model", default, about, trains=True)


def _how(default: object, about: str) -> Any:
    """A setting of how a training is carried out, which decides none of its results."""
    return _setting("nothing", default, about, trains=True)


# Decays of moving averages, the one first with which images are drawn unless another is asked for.
Decays = Annotated[tuple[Share, ...], MinLen(1)]
# A SHA-256 sum in hexadecimal digits, or empty.
Digest = Annotated[str, StringConstraints(pattern="^([0-9a-f]{64})?$")]


LabelDistribution = Literal["balanced", "data", "uniform"]
# Real images that scores compare with: the training images, or one of two halves of the held-out images.
ReferencePart = Literal["train", "validation", "test"]


@dataclass(frozen=True, kw_only=True)
class Recipe(Answers):
    """The settings of one run: a spec per kind (None: the default of the kind), the training budget and the seed.

    Raises:
        UserError: if a value does not fit its field.
    """

    metrics: tuple[Spec, ...] = field(
        default=(Spec("fid"), Spec("kid"), Spec("accuracy")),
        metadata={"decides": "scores", "about": "what the images are scored by"},
    )

    teacher: Spec | None = _setting(
        "model",
        None,
        "a method or recipe of the study, with settings in parentheses, whose trained model the process learns from",
    )
    labels: bool = _setting("model", True, "whether the model is class-conditional")
    weights: Digest = _setting(
        "model", "", "SHA-256 of weights that 'mgbench import' read; with them nothing is trained"
    )
    mirror: bool = _training(False, "train on the mirror image of every image too, left to right")
    token_precision: Literal["float32", "float16"] = _training(
        "float32",
        "to which values of tokens are rounded before training; half the memory and half the cache with float16",
    )
    train_steps: Count = _training(1000, "optimiser steps")
    batch_size: Count = _training(64, "images per training step, over all devices of the trial")
    learning_rate: Positive = _training(1e-3, "highest learning rate of AdamW")
    warmup_steps: Index = _training(50, "steps over which the learning rate rises from 0")
    lr_decay: Literal["constant", "cosine"] = _training(
        "constant", "the learning rate after that: constant, or a cosine down to 0 at the last step"
    )
    weight_decay: NotNegative = _training(0.02, "of AdamW")
    clip: Positive = _training(3.0, "largest norm of the gradient; longer ones are scaled down")
    accumulate: Count = _training(
        1, "equal parts of a batch that a device processes one after the other, adding their gradients"
    )
    ema: Decays = _training(
        (0.999,), "decays of the averaged weights; an average is kept for each, and 0 keeps the weights themselves"
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = _training(
        "auto", "of matrix products; auto is bfloat16 on GPUs, float32 elsewhere; with float16 the loss is scaled"
    )
    compile: Literal["off", "auto", "on"] = _training(
        "off", "torch.compile of blocks in training; auto does so on GPUs for trainings of 2,000 steps or more"
    )
    parallel: Literal["ddp", "fsdp"] = _how(
        "ddp",
        "how several devices hold the weights: all of them on each (ddp), or an equal shard of each tensor (fsdp)",
    )
    recompute: bool = _how(
        False, "activation checkpointing: blocks are computed again in the backward pass, which changes no number"
    )
    seed: Index = _setting("model", 0, "of weights, training and sampling")
    sample_seed: Index | None = _setting(
        "images",
        None,
        "of sampling only, to sample one model again with other noise; by default the seed",
    )
    sampling_steps: Count = _setting(
        "images", 16, "sampling steps; studies vary it over 1, 2, 4, 8, 16, 32 unless it or its method sets it"
    )
    sampling_ema: Share | None = _setting(
        "images", None, "decay of the averaged weights that images are drawn with; by default the first of ema"
    )
    sampling_precision: Literal["float32", "bfloat16", "float16"] = _setting(
        "images", "float32", "of matrix products in sampling; on GPUs 16 bits are many times as fast"
    )
    sampling_compile: Literal["off", "auto", "on"] = _setting(
        "images",
        "off",
        "torch.compile of blocks in sampling; auto does so on GPUs for rows of 50,000 image-steps or more",
    )
    label_distribution: LabelDistribution = _setting(
        "images",
        "balanced",
        "requested labels: every class equally often, in the shares of the training images (data), or "
        "drawn uniformly and independently (uniform)",
    )
    samples: Index = _setting("images", 0, "images to draw and score; 0 means the number of held-out images")

    reference: ReferencePart = _setting(
        "scores",
        "train",
        "real images that scores compare with: the training images (train), or a half of the held-out images: "
        "validation, to choose settings by, or test",
    )

    # Whether `sampling_steps` was given: a study varies them where they were not.
    says_steps: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name in FIELDS:
            object.__setattr__(self, name, _checked_field(name, getattr(self, name)))

    @classmethod
    def of(cls, **fields: object) -> "Recipe":
        """A recipe with these fields, specs as text: `Recipe.of(mask_schedule="exp(rate=3)")`; raises as `change`."""
        return cls().change(**fields)

    def change(self, **fields: object) -> "Recipe":
        """The same recipe with some fields replaced.

        A spec of the same component keeps the options that it does not set: `head="diffusion(width=8)"` turns
        `diffusion(depth=2)` into `diffusion(depth=2, width=8)`. A field `head.width`, or a mapping of options, changes
        only those options.

        Raises:
            UserError: if there is no such field or the value does not fit it.
        """
        # The unchanged fields were checked when this recipe was made.
        changed = object.__new__(Recipe)
        vars(changed).update(vars(self))
        for former, given in flattened(fields):
            name, value = current(former, given)
            if name != former:
                warnings.warn(renamed(former, given), FutureWarning, stacklevel=2)
            field_name, *path = name.split(".")
            check_field(field_name)
            if field_name == "sampling_steps":
                vars(changed)["says_steps"] = True
            vars(changed)[field_name] = changed._changed(field_name, path, value)
        return changed

    def _changed(self, name: str, path: list[str], value: object) -> Any:
        before = getattr(self, name)
        if name not in SPECS:
            if path:
                raise UserError(f"{name} is no component, and has no option {'.'.join(path)!r}; set {name} itself")
            return _checked_field(name, value)
        if not path:
            after = _checked_field(name, value)
            return after if None in (before, after) else after.keeping(before)
        before = before or (KINDS[name].default if name in KINDS else None)
        if before is None:
            raise UserError(f"this recipe does not say which {name.replace('_', ' ')} it has; set {name} itself first")
        return before.with_option(tuple(path), value)

    @property
    def drawn_with(self) -> float:
        """The decay of the averaged weights that images are drawn with."""
        return self.ema[0] if self.sampling_ema is None else self.sampling_ema

    @property
    def ignored(self) -> Mapping[str, Any]:
        """The settings that do not apply to imported weights, with their defaults; empty without imported weights."""
        return OF_TRAINING if self.weights else {}

    def spelled(self) -> dict[str, Any]:
        """Every field as a plain value; specs as text."""
        return {name: plain(getattr(self, name)) for name in FIELDS}


def flattened(fields: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Fields and values, with nested mappings as dotted names: `{"head": {"width": 8}}` gives `head.width`."""
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


@cache
def _types() -> dict[str, Any]:
    return get_type_hints(Recipe, include_extras=True)


def _checked_field(name: str, value: object) -> Any:
    return checked(_types()[name], _read_field(name, value), f"recipe: {name}")


def _read_field(name: str, value: object) -> object:
    if name in SPECS and isinstance(value, str):
        return Spec.parse(value)
    if name == "metrics":
        specs = parse_list(value) if isinstance(value, str) else (value,) if isinstance(value, Spec) else value
        if isinstance(specs, tuple | list) and all(isinstance(item, str | Spec) for item in specs):
            return tuple(Spec.parse(item) for item in specs)
    if name == "ema":
        return tuple(value) if isinstance(value, tuple | list) else (value,)
    return value


def plain(value: object) -> object:
    if isinstance(value, tuple):
        # A single number is spelled as one.
        return value[0] if len(value) == 1 and isinstance(value[0], float) else [plain(item) for item in value]
    return str(value) if isinstance(value, Spec) else value


# Fields that hold a spec, of a component or of a method.
SPECS = (*KINDS, "teacher")
FIELDS: dict[str, dataclasses.Field[Any]] = {item.name: item for item in dataclasses.fields(Recipe)}
# Settings that do not apply to imported weights, with their defaults.
OF_TRAINING = {name: item.default for name, item in FIELDS.items() if item.metadata.get("trains")}


# Former fields, accepted for one version: their present names and values.
_FORMER = {"balanced_labels": ("label_distribution", {True: "balanced", False: "uniform"})}
FORMER_FIELDS = tuple(_FORMER)


def current(name: str, value: object) -> tuple[str, Any]:
    """The present name and value of a field.

    Raises:
        UserError: if a former field has a value that it did not accept.
    """
    if name not in _FORMER:
        return name, value
    now, values = _FORMER[name]
    if type(value) is not bool:
        raise UserError(f"recipe: {name} is {value!r}, and should be true or false; it is now called {now}")
    return now, values[value]


def renamed(name: str, value: object) -> str:
    """A sentence about a former field and its value."""
    now, is_now = current(name, value)
    return f"{name}={str(value).lower()} is now {now}={is_now}"


def check_field(name: str) -> None:
    """Check that a name is a field of a recipe.

    Raises:
        UserError: if it is not, with the nearest name.
    """
    if name not in FIELDS:
        raise UserError(f"a recipe has no field {name!r}; {suggestion(name, FIELDS)}")


def decides(name: str) -> Decides:
    """The first stage that a field of a recipe affects: tokens, model, images or scores."""
    stage: Decides = KINDS[name].decides if name in KINDS else FIELDS[name].metadata["decides"]
    return stage
