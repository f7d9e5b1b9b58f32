"""Sentences about what the changes of a study leave as it is: options of components, and settings of teachers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mgbench.recipes.kinds import KINDS
from mgbench.recipes.recipe import OF_TRAINING, Recipe
from mgbench.recipes.spec import Spec, spelled


def kept(recipes: Mapping[str, Recipe], changes: Mapping[str, Any]) -> Iterator[str]:
    """Notes about options that a method keeps when a change names the same component."""
    for name, value in changes.items():
        if name not in KINDS or not isinstance(value, str | Spec):
            continue
        said: dict[str, list[str]] = {}
        for method, recipe in recipes.items():
            sentence = _left(Spec.parse(value), getattr(recipe, name))
            if sentence:
                said.setdefault(sentence, []).append(method)
        for sentence, methods in said.items():
            yield f"{name}={value} {sentence} of {', '.join(methods)}"


def _left(after: Spec, before: Spec | None) -> str:
    """A sentence about the options that a change of a spec keeps; empty if none."""
    if before is None or after.name != before.name:
        return ""
    if (after.args and before.options) or (before.args and after.options):
        return (
            f"mixes positional and named options, so those of {before} are dropped; name all options to keep the rest,"
        )
    stays = [f"{name}={spelled(value)}" for name, value in before.options if name not in dict(after.options)]
    stays += [spelled(value) for value in before.args[len(after.args) :]]
    return f"keeps {', '.join(stays)}" if stays else ""


def not_taught(
    recipes: Mapping[str, Recipe], changed: Mapping[str, Sequence[Any]], known: Mapping[str, Recipe]
) -> Iterator[str]:
    """Notes about settings of the training that a study changes in students, and not in their teachers.

    `changed` are the fields that it sets or varies with their values, `known` the recipes of all methods.
    """
    for name, values in changed.items():
        if name not in OF_TRAINING or {"teacher", f"teacher.{name}"} & changed.keys():
            continue
        said: dict[str, list[str]] = {}
        for method, recipe in recipes.items():
            spec = recipe.teacher
            if spec is None or spec.name not in known:
                continue
            keeps = dict(spec.options).get(name, getattr(known[spec.name], name))
            if any(value != keeps for value in values):
                said.setdefault(f"{spec}, which keeps {_text(keeps)}", []).append(method)
        for teacher, methods in said.items():
            yield f"{name} does not apply to the teacher of {', '.join(methods)}, {teacher}; teacher.{name} does"


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
