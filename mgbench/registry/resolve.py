"""Resolve a recipe into components and keys: look up its specs, and build and check their components."""

import dataclasses
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from mgbench.errors import Unfit, UserError
from mgbench.interfaces import optional
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import ImageData
from mgbench.recipes.keys import Answer, Keys, choices, make_keys
from mgbench.recipes.kinds import KINDS
from mgbench.recipes.recipe import FIELDS, Recipe
from mgbench.registry.blame import blame
from mgbench.registry.content import Stamps, components_of, file_hash, stamps_of
from mgbench.registry.in_use import kinds_in_use
from mgbench.registry.prepared import extractor_id, load_images, token_space
from mgbench.registry.registry import Bound, Registry
from mgbench.registry.rehearse import REHEARSED, check_shapes, left_out, rehearse
from mgbench.registry.settings import check_settings
from mgbench.registry.teachers import check_teacher, teacher_recipe
from mgbench.stages.reference import reference_images

T = TypeVar("T")


@dataclass(frozen=True)
class Assembly:
    """A resolved recipe: its keys, all fields in full, its components and its images.

    `unfit` is the reason why the components cannot work together, if so; `unasked` means that a kind is set but not in
    use, and `refused` that a component raised an error. `left_out` are the reasons for metrics that will be left out of
    the row, `advised` warnings of the components. `teacher` is the assembly of the recipe that it learns from.
    """

    recipe: Recipe
    keys: Keys
    spelled: dict[str, Any]
    parts: Parts
    images: ImageData | None
    unfit: str = ""
    unasked: bool = False
    refused: bool = False
    left_out: tuple[str, ...] = ()
    advised: tuple[str, ...] = ()
    teacher: "Assembly | None" = None

    @property
    def data(self) -> ImageData:
        """The images of the dataset.

        Raises:
            UserError: if they could not be loaded; `unfit` has the reason.
        """
        if self.images is None:
            raise UserError(self.unfit)
        return self.images

    @property
    def reference_data(self) -> ImageData:
        """The images that scores compare with (`train`) and other real ones for the floor (`test`); raises as `data`."""
        return reference_images(self.data, self.recipe.reference)

    @property
    def classes(self) -> int:
        """The number of classes of the model; 0 without labels."""
        return len(self.data.class_names) if self.recipe.labels else 0

    @property
    def class_counts(self) -> tuple[int, ...]:
        """The number of training images of each class; empty without labels."""
        return self.data.class_counts if self.recipe.labels else ()

    @property
    def samples(self) -> int:
        """The number of images to draw; by default, the number of held-out images."""
        return self.recipe.samples or len(self.data.test)


def assemble(registry: Registry, recipe: Recipe, given: Collection[str] = FIELDS.keys()) -> Assembly:
    """Look up and build the components of a recipe; what they raise becomes the reason in `unfit`.

    A kind that is set but not in use makes the recipe unfit if the user set it (`given`); if it comes from the method,
    such as the solver of a diffusion head that was replaced, it is ignored.

    Raises:
        UserError: if a component or option does not exist.
    """
    found = _looked_up(registry, recipe)
    unasked = found.unasked if found.taught or recipe.teacher is None else (*found.unasked, "teacher")
    dropped = dict.fromkeys(kind for kind in unasked if kind not in given)
    changed = {**dropped, **found.ignored, **recipe.ignored}
    recipe = recipe.change(**changed) if changed else recipe
    too_much = _unasked(recipe, found)
    teacher = _teacher(registry, recipe)
    keys = make_keys(recipe, found.chosen, found.fingerprint, teacher.keys.training if teacher else "")
    spelled = {**recipe.spelled(), **found.spelled, **dict.fromkeys(recipe.ignored)}
    if too_much:
        return Assembly(recipe, keys, spelled, found.parts, found.images, too_much, unasked=True)
    judged = dataclasses.replace(found)
    judged.attempt(lambda: check_settings(recipe))
    if found.images is not None:
        judged.attempt(lambda: reference_images(found.data, recipe.reference))
    if found.taught and not found.reason:
        by, unfit = (teacher.parts, teacher.unfit) if teacher else (None, "")
        judged.attempt(lambda: check_teacher(recipe, found.parts, by, unfit))
    missing = () if judged.reason else judged.attempt(lambda: _left_out(registry, recipe, found)) or ()
    return Assembly(
        recipe,
        keys,
        spelled,
        found.parts,
        found.images,
        judged.reason,
        refused=judged.refused,
        left_out=missing,
        advised=found.advised,
        teacher=teacher,
    )


@dataclass
class _Found:
    """The part of a resolution that recipes with the same components share.

    `spelled` has a field for every kind, None for those not in use; `ignored` has the defaults of settings that do not
    apply to the process; `stamps` are the modification times of the files that components read.
    """

    bounds: dict[str, Bound]
    unasked: tuple[str, ...] = ()
    taught: bool = False
    ignored: dict[str, Any] = field(default_factory=dict)
    parts: Parts = field(default_factory=Parts)
    images: ImageData | None = None
    reason: str = ""
    refused: bool = False
    advised: tuple[str, ...] = ()
    chosen: dict[str, str] = field(default_factory=dict)
    spelled: dict[str, Any] = field(default_factory=dict)
    stamps: Stamps = ()

    @property
    def data(self) -> ImageData:
        """The images; only valid if they could be loaded."""
        assert self.images is not None
        return self.images

    @property
    def fingerprint(self) -> str:
        """The hash of the images; empty if they could not be loaded."""
        return "" if self.images is None else self.images.fingerprint

    def attempt(self, work: Callable[[], T], of: str = "") -> T | None:
        """Call code of components, which may raise; the first error is kept as the reason, with the kind `of`."""
        try:
            return work()
        except Unfit as error:
            self.reason = self.reason or str(error)
        except UserError as error:
            self._refuse(str(error))
        except (Exception, SystemExit) as error:
            makers = [offer.maker for bound in self.bounds.values() for offer in bound.offers]
            at = f"{of}={self.bounds[of].spec}: " if of else ""
            self._refuse(f"{at}{blame(error, makers)}")
        return None

    def _refuse(self, reason: str) -> None:
        self.refused = self.refused or not self.reason
        self.reason = self.reason or reason


def _looked_up(registry: Registry, recipe: Recipe) -> _Found:
    key = (*(str(getattr(recipe, kind) or "") for kind in KINDS), str(recipe.metrics), recipe.labels)
    found: _Found | None = registry.memory.get(key)
    if found is None or found.stamps != stamps_of(path for path, _ in found.stamps):
        found = registry.memory[key] = _look_up(registry, recipe)
    return found


def _look_up(registry: Registry, recipe: Recipe) -> _Found:
    found = _Found(kinds_in_use(registry, recipe))
    metrics = [registry.bound("metric", spec) for spec in recipe.metrics]
    found.unasked = tuple(kind for kind in KINDS if getattr(recipe, kind) is not None and kind not in found.bounds)
    found.taught = optional.needs_teacher(found.bounds["process"].offers[0].maker)
    ignored = optional.ignored_settings(found.bounds["process"].offers[0].maker)
    found.ignored = {name: FIELDS[name].default for name in ignored}
    found.spelled = {**dict.fromkeys(KINDS), **dict.fromkeys(ignored)}
    found.spelled |= {kind: str(bound.spelled) for kind, bound in found.bounds.items()}
    components = {kind: found.attempt(bound.built) for kind, bound in found.bounds.items()}
    judges = tuple(found.attempt(bound.built) for bound in metrics)
    found.parts = Parts(labels=recipe.labels, metrics=judges, **components)
    dataset: Any = found.parts.dataset
    extractor: Any = found.parts.extractor
    found.images = found.attempt(lambda: load_images(dataset), "dataset")
    answers = {kind: _answer(found, bound) for kind, bound in found.bounds.items()}
    weights = found.attempt(lambda: extractor_id(extractor), "extractor")
    answers["extractor"] = dataclasses.replace(
        answers["extractor"], content=f"{answers['extractor'].content}+{weights}"
    )
    each = [_answer(found, bound) for bound in metrics]
    answers["metrics"] = Answer(
        ", ".join(answer.spelling for answer in each), tuple(node for answer in each for node in answer.makers)
    )
    found.chosen = choices(answers)
    found.attempt(lambda: check_shapes(found.bounds))
    if not found.reason:
        found.attempt(lambda: token_space(found.parts, found.data), "tokenizer")
    found.attempt(lambda: _check(recipe, found))
    if not found.reason:
        space = token_space(found.parts, found.data)
        found.advised = found.attempt(lambda: optional.advice(found.parts.process, found.parts, space), "process") or ()
    for kind in REHEARSED:
        if kind in found.bounds and not found.reason:
            found.attempt(partial(_rehearse, registry, found, kind), kind)
    return found


def _answer(found: _Found, bound: Bound) -> Answer:
    """The contribution of a component to the keys: its options, its code, and the content of the files that it reads."""
    paths = found.attempt(
        lambda: [path for part in components_of([bound.component]) for path in optional.content_files(part)]
    )
    stamps = stamps_of(paths or ())
    found.stamps += stamps
    return Answer(str(bound.resolved), bound.nodes, "+".join(file_hash(*stamp) for stamp in stamps))


def _rehearse(registry: Registry, found: _Found, kind: str) -> None:
    """Rehearse a component of sampling, unless it passed before."""
    space = token_space(found.parts, found.data)
    if (key := (kind, *(str(found.bounds[name].spec) for name in REHEARSED[kind]), space)) not in registry.memory:
        rehearse(kind, found.parts, space)
        registry.memory[key] = True


def _left_out(registry: Registry, recipe: Recipe, found: _Found) -> tuple[str, ...]:
    """The reasons why metrics of a recipe will be left out."""
    real = reference_images(found.data, recipe.reference)
    images = recipe.samples or len(found.data.test)
    counts = (images, len(real.train), len(real.test))
    if (key := ("metrics", str(recipe.metrics), counts)) not in registry.memory:
        registry.memory[key] = left_out(found.parts.metrics, *counts)
    reasons: tuple[str, ...] = registry.memory[key]
    return reasons


def _check(recipe: Recipe, found: _Found) -> None:
    """Check that the components work together.

    Raises:
        Unfit: if one of them does not.
    """
    if found.images is None or found.reason:
        return
    if recipe.labels and found.images.train_labels is None:
        raise Unfit(f"{found.bounds['dataset'].spec} has no labels; set labels=False")
    space = token_space(found.parts, found.images)
    for component in components_of(list(vars(found.parts).values())):
        optional.check(component, found.parts, space)


def _teacher(registry: Registry, recipe: Recipe) -> Assembly | None:
    """The assembly of the teacher; kinds that its method sets but does not use are ignored."""
    found = teacher_recipe(registry, recipe)
    return None if found is None or recipe.teacher is None else assemble(registry, found, dict(recipe.teacher.options))


def _unasked(recipe: Recipe, found: _Found) -> str:
    """The sentence about a kind that a recipe sets but does not use; empty if there is none."""
    for kind in (*found.unasked, *(() if found.taught else ("teacher",))):
        if (given := getattr(recipe, kind)) is not None:
            return (
                f"{kind}={given} is set, but nothing in this recipe asks for a {kind.replace('_', ' ')} "
                f"(process={found.bounds['process'].spec} and its parts do not); leave it out"
            )
    return ""
