"""The recipe of a teacher; a student names only the method and the settings that differ."""

from collections.abc import Iterator
from dataclasses import replace

from mgbench.errors import Unfit, UserError, suggestion
from mgbench.interfaces import optional
from mgbench.interfaces.components import Parts
from mgbench.recipes.recipe import Recipe, check_field
from mgbench.recipes.spec import Spec
from mgbench.recipes.students import SHARED, TOKENS
from mgbench.registry.registry import Registry


def teacher_recipe(registry: Registry, recipe: Recipe) -> Recipe | None:
    """The recipe of a teacher: that of its method, with the data, tokenizer, labels, seed, metrics and reference of the
    student.

    Raises:
        UserError: if the method or a setting does not exist or cannot be set, or teachers form a circle.
    """
    spec = recipe.teacher
    if spec is None:
        return None
    known = registry.methods
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
    """Check that the process of a student can learn from a model with the components `teacher`, which may be `unfit`
    itself.

    Raises:
        Unfit: if it cannot, or there is no teacher.
    """
    if teacher is None:
        raise Unfit(f"process={recipe.process} learns from a trained model; set teacher to a method")
    if unfit:
        raise Unfit(f"its teacher {recipe.teacher}: {unfit}")
    optional.check_teacher(parts.process, parts, teacher)
