"""Keys of results: hashes of everything that a result depends on."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mgbench.recipes.kinds import KINDS, Decides
from mgbench.recipes.normal import Node
from mgbench.recipes.recipe import FIELDS, Recipe, decides, plain
from mgbench.recipes.stage_code import HALVED, RECONSTRUCTION, STAGE_CODE, TAUGHT, code_of, upto

# 3: hashes of the reached definitions, including stages; 1 and 2: of whole files and a number raised by hand.
KEY_VERSION = 3


@dataclass(frozen=True)
class Answer:
    """A resolved field of a recipe, as it enters the keys: its spelling without defaults, and its definitions.

    `makers` are the definitions of its component and of nested ones; `content` has hashes of the files that they read.
    """

    spelling: str
    makers: tuple[Node, ...] = ()
    content: str = ""


@dataclass(frozen=True)
class Keys:
    """The keys of the results of a recipe: hashes of everything that its tokenizer, model, images and scores (`run`)
    depend on.

    `reconstruction` is the key of the scores of images that were only encoded and decoded by the tokenizer.
    """

    tokenizer: str
    training: str
    images: str
    run: str
    reconstruction: str


# The stage of each key, and the stages whose settings it depends on.
_KEYS: dict[str, tuple[Decides, tuple[Decides, ...]]] = {
    "tokenizer": ("tokens", upto("tokens")),
    "training": ("model", upto("model")),
    "images": ("images", upto("images")),
    "run": ("scores", upto("scores")),
    "reconstruction": ("scores", ("tokens", "scores")),
}


def choices(answers: Mapping[str, Answer]) -> dict[str, str]:
    """For each key, a hash of the components that it depends on and of the code of these and of the stages."""
    return {key: digest(_chosen(answers, key)) for key in _KEYS}


def _chosen(answers: Mapping[str, Answer], key: str) -> dict[str, Any]:
    stage, stages = _KEYS[key]
    counted = {name: answer for name, answer in sorted(answers.items()) if decides(name) in stages}
    makers = tuple(dict.fromkeys(maker for answer in counted.values() for maker in answer.makers))
    names = tuple(name for part in stages for name in STAGE_CODE[part])
    loops, sources = code_of(makers, names + (RECONSTRUCTION if key == "reconstruction" else ()), stage)
    found = dict(zip(makers, sources, strict=True))
    entries = {
        name: [answer.spelling, [found[maker] for maker in answer.makers], answer.content]
        for name, answer in counted.items()
    }
    return {"code": loops, "components": entries}


def make_keys(recipe: Recipe, chosen: Mapping[str, str], data_fingerprint: str, teacher: str = "") -> Keys:
    """Hash the inputs of each stage: components (from `choices`), settings that differ from their defaults, and the
    data.

    A `teacher` enters by its training key, however it is spelled.
    """
    changed = {name: plain(value) for name, value in vars(recipe).items() if value != _SETTINGS.get(name, value)}
    if recipe.sample_seed == recipe.seed:
        # As a recipe without a sampling seed is sampled.
        del changed["sample_seed"]
    if "reference" in changed:
        changed["reference"] = [recipe.reference, code_of((), HALVED, "scores")[0]]
    if teacher:
        changed["teacher"] = [teacher, code_of((), TAUGHT, "model")[0]]
    return Keys(**{key: _key(key, recipe, changed, chosen[key], data_fingerprint) for key in _KEYS})


def _key(key: str, recipe: Recipe, changed: Mapping[str, Any], chosen: str, data: str) -> str:
    settings = {name: value for name, value in changed.items() if decides(name) in _KEYS[key][1]}
    if key == "reconstruction":
        settings["reconstructed"] = recipe.samples
        settings |= {name: changed[name] for name in ("label_distribution",) if name in changed}
    return digest({"version": KEY_VERSION, "data": data, "chosen": chosen, "settings": settings})


_SETTINGS = {name: item.default for name, item in FIELDS.items() if name not in KINDS and name != "metrics"}


def digest(content: object) -> str:
    """A short hash of plain values (16 hexadecimal digits)."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
