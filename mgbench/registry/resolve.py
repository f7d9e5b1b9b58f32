"""From a recipe to its parts: look every spec up, find what is asked, build it, and say why where it cannot be."""

import dataclasses
import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from mgbench.errors import Unfit, UserError
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import ImageData, TokenSpace
from mgbench.recipes.keys import Answer, Keys, make_keys
from mgbench.recipes.kinds import ALWAYS_ASKED, KINDS
from mgbench.recipes.recipe import FIELDS, Recipe
from mgbench.recipes.source import fingerprint
from mgbench.recipes.spec import Spec
from mgbench.registry.registry import Offer, Registry


@dataclass(frozen=True)
class Assembly:
    """A recipe looked up: its keys, every field spelled out, its parts and its images.

    `unfit` is the reason why the parts cannot work together, if they cannot; `unasked`, that it is a part which nothing asks.
    """

    recipe: Recipe
    keys: Keys
    spelled: dict[str, Any]
    parts: Parts
    data: ImageData
    unfit: str = ""
    unasked: bool = False

    @property
    def classes(self) -> int:
        """How many classes the model knows; 0 without labels."""
        return len(self.data.class_names) if self.recipe.labels else 0

    @property
    def samples(self) -> int:
        """How many images to draw: as many as are held out, unless the recipe says otherwise."""
        return self.recipe.samples or len(self.data.test)


def assemble(registry: Registry, recipe: Recipe, given: Collection[str] = KINDS.keys()) -> Assembly:
    """Look up and build all that a recipe asks for.

    What is set but not asked makes the recipe unfit where it was `given` by who wants to run it, and is left out where it only
    came along with the method: a diffusion head's solver, say, when another head takes its place.

    Raises:
        UserError: if a component or option does not exist.
    """
    specs = _asked(registry, recipe)
    unasked = [kind for kind in KINDS if getattr(recipe, kind) is not None and kind not in specs]
    recipe = recipe.change(**dict.fromkeys(kind for kind in unasked if kind not in given))
    ignored = getattr(registry.offer("process", specs["process"]).maker, "ignores", ())
    recipe = recipe.change(**{name: FIELDS[name].default for name in ignored})
    parts = Parts(labels=recipe.labels)
    for kind, spec in specs.items():
        setattr(parts, kind, registry.build(kind, spec))
    dataset: Any = parts.dataset
    data = load_images(dataset)
    answers = {kind: _answer(registry, kind, spec) for kind, spec in specs.items()}
    answers["extractor"] = _with_weights(answers["extractor"], parts.extractor)
    for kind in specs:
        answers[kind] = _with_files(answers[kind], getattr(parts, kind))
    answers["metrics"] = _metrics_answer(registry, recipe)
    parts.metrics = tuple(registry.build("metric", spec) for spec in recipe.metrics)
    spelled = {**recipe.spelled(), **dict.fromkeys(KINDS), **dict.fromkeys(ignored)}
    spelled |= {kind: str(registry.spell(kind, spec)) for kind, spec in specs.items()}
    keys, too_much = make_keys(recipe, answers, data.fingerprint), _unasked(recipe, specs)
    reason = too_much or _unfit(recipe, specs, parts, data)
    return Assembly(recipe, keys, spelled, parts, data, reason, unasked=bool(too_much))


def token_space(parts: Parts, data: ImageData) -> TokenSpace:
    """What the tokens of these images are.

    Raises:
        Unfit: if the tokenizer cannot cut them.
    """
    tokenizer: Any = parts.tokenizer
    return _space(tokenizer, data.shape)


@cache
def _space(tokenizer: Any, shape: tuple[int, int, int]) -> TokenSpace:
    space: TokenSpace = tokenizer.build(shape).space
    return space


@cache
def load_images(dataset: Any) -> ImageData:
    """The images of a dataset, read once a process."""
    data: ImageData = dataset.load()
    return data


@cache
def _extractor_id(extractor: Any) -> str:
    name: str = extractor.build().id
    return name


def _asked(registry: Registry, recipe: Recipe) -> dict[str, Spec]:
    """The spec of every kind that is asked, in the order of the kinds."""
    specs: dict[str, Spec] = {}
    waiting = list(ALWAYS_ASKED)
    while waiting:
        kind = waiting.pop(0)
        if kind not in specs:
            specs[kind] = getattr(recipe, kind) or _default(registry, specs, kind)
            waiting += _asks(registry.offer(kind, specs[kind]))
    return {kind: specs[kind] for kind in KINDS if kind in specs}


def _asks(offer: Offer) -> tuple[str, ...]:
    return tuple(getattr(offer.maker, "asks", ()))


def _default(registry: Registry, specs: Mapping[str, Spec], kind: str) -> Spec:
    """The usual answer to a kind: its default, or what one of the components found so far names as such.

    Raises:
        UserError: if there is none.
    """
    default = KINDS[kind].default
    if default is not None:
        return default
    if kind == "sampling_schedule":
        return specs.get("mask_schedule") or _default(registry, specs, "mask_schedule")
    for asked, spec in specs.items():
        usual = getattr(registry.offer(asked, spec).maker, kind, None)
        if isinstance(usual, str):
            return Spec.parse(usual)
    raise UserError(f"nothing in this recipe says which {kind.replace('_', ' ')} is usual; set {kind}")


def _answer(registry: Registry, kind: str, spec: Spec) -> Answer:
    sources = [fingerprint(maker) for maker in registry.makers(kind, spec)]
    return Answer(str(registry.resolve(kind, spec)), "+".join(sources))


def _with_weights(answer: Answer, extractor: Any) -> Answer:
    """Scores belong to the weights that an extractor reads from a file as much as to its code."""
    return replace(answer, source=f"{answer.source}+{_extractor_id(extractor)}")


def _with_files(answer: Answer, component: Any) -> Answer:
    """Results belong to the content of the files that a component, or one it was made with, reads."""
    paths = [path for part in _components([component]) for path in getattr(part, "files", ())]
    hashes = [_file_hash(path, path.stat().st_mtime_ns) for path in paths]
    return replace(answer, source="+".join([answer.source, *hashes]))


@cache
def _file_hash(path: Path, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def _metrics_answer(registry: Registry, recipe: Recipe) -> Answer:
    answers = [_answer(registry, "metric", spec) for spec in recipe.metrics]
    return Answer(", ".join(answer.spelling for answer in answers), "+".join(answer.source for answer in answers))


def _unfit(recipe: Recipe, specs: Mapping[str, Spec], parts: Parts, data: ImageData) -> str:
    try:
        if recipe.labels and data.train_labels is None:
            raise Unfit(f"{specs['dataset']} has no labels; set labels=False")
        space = token_space(parts, data)
        for component in _components(list(vars(parts).values())):
            if hasattr(component, "check"):
                component.check(parts, space)
    except Unfit as reason:
        return str(reason)
    return ""


def _components(values: Iterable[Any]) -> Iterator[Any]:
    """All components among some values: lists of them, and those that others were made with."""
    for value in values:
        if isinstance(value, tuple | list):
            yield from _components(value)
        elif dataclasses.is_dataclass(value):
            yield value
            yield from _components(getattr(value, item.name) for item in dataclasses.fields(value))


def _unasked(recipe: Recipe, specs: Mapping[str, Spec]) -> str:
    """What is wrong with a recipe that sets a kind which nothing in it asks, if it does."""
    for kind in KINDS:
        given = getattr(recipe, kind)
        if given is not None and kind not in specs:
            return (
                f"{kind}={given} is set, but nothing in this recipe asks for a {kind.replace('_', ' ')} "
                f"(process={specs['process']} and its parts do not); leave it out"
            )
    return ""
