"""The recipe of a teacher, of which a student says only the method and what differs."""

from collections.abc import Iterator
from dataclasses import replace

from mgbench.errors import Unfit, UserError, suggestion
from mgbench.interfaces import optional
from mgbench.interfaces.components import Parts
from mgbench.recipes.recipe import Recipe, check_field
from mgbench.recipes.spec import Spec
from mgbench.registry.registry import Registry

# The same tokens and classes, without which it could teach nothing,
TOKENS = ("dataset", "tokenizer", "labels")
# the seed, so that students of several seeds have teachers of their own, and what its own row is scored by.
SHARED = (*TOKENS, "seed", "extractor", "metrics", "samples", "label_distribution")


def teacher_recipe(registry: Registry, recipe: Recipe) -> Recipe | None:
    """The recipe of the teacher of a recipe: its method's, with the student's data, tokenizer, labels, seed and scores.

    Raises:
        UserError: if there is no such method or setting, it cannot be set, or a method is taught by itself in the end.
    """
    spec = recipe.teacher
    if spec is None:
        return None
    known = {name: found for recipes in registry.recipes.values() for name, found in recipes.items()}
    _check_line(spec, known)
    options = dict(spec.options)
    for name in options:
        check_field(name)
        if name in TOKENS:
            raise UserError(f"teacher={spec}: a teacher has the {name} of its student; set {name} itself")
    if spec.args:
        raise UserError(f"teacher={spec}: name the settings, as in {spec.name}(train_steps=500)")
    shared = {name: getattr(recipe, name) for name in SHARED}
    return replace(known[spec.name], **shared).change(**options)


def _check_line(spec: Spec, known: dict[str, Recipe]) -> None:
    names: list[str] = []
    for name in _line(spec, known):
        if name not in known:
            raise UserError(f"no method is called {name!r}, and so none can teach; {suggestion(name, known)}")
        if name in names:
            raise UserError(f"{name} would be taught by itself: {' by '.join([*names, name])}; set another teacher")
        names.append(name)


def _line(spec: Spec | None, known: dict[str, Recipe]) -> Iterator[str]:
    """The names of a teacher, its own teacher, and so on."""
    while spec is not None:
        yield spec.name
        spec = known[spec.name].teacher


def check_teacher(recipe: Recipe, parts: Parts, teacher: Parts | None, unfit: str) -> None:
    """Ask the process of a student whether it can learn from a model of the parts `teacher`, which may be `unfit` itself.

    Raises:
        Unfit: if it cannot, or there is no teacher.
    """
    if teacher is None:
        raise Unfit(f"process={recipe.process} learns from a trained model; set teacher to a method")
    if unfit:
        raise Unfit(f"its teacher {recipe.teacher}: {unfit}")
    optional.check_teacher(parts.process, parts, teacher)
