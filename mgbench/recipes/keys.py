"""The keys under which the results of a recipe live: hashes of all that decides them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mgbench.recipes.kinds import KINDS, STAGES, Decides
from mgbench.recipes.recipe import FIELDS, Recipe, decides, plain

# Raised when the loops themselves change what a recipe produces, so that older results are not taken for newer ones.
PROTOCOL_VERSION = 2


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
            entries[decides(name)][name] = plain(value)
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
