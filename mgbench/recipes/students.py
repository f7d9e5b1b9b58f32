"""Teachers of the recipes of a study: which of its own recipes they are, and which changes apply to them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mgbench.errors import UserError, suggestion
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.spec import Spec

# The same tokens and classes, without which distillation is impossible,
TOKENS = ("dataset", "tokenizer", "labels")
# the seed, so that each seed has its own teacher, and how the teacher's own row is scored, so that it compares.
SHARED = (*TOKENS, "seed", "extractor", "metrics", "samples", "label_distribution", "reference")
_OPTION = "teacher."


def applies(name: str, recipe: Recipe, among: Iterable[Recipe]) -> bool:
    """Whether a change of a field applies to a recipe: one of its teacher only if it has one, unless none of `among` has."""
    asks = name.startswith(_OPTION) and recipe.teacher is None
    return not asks or all(other.teacher is None for other in among)


@dataclass(frozen=True)
class OwnRecipes:
    """The recipes of a study file: each as a recipe, and the fields that the file gives, `base` among them.

    `methods` are the names of all methods.
    """

    recipes: Mapping[str, Recipe]
    given: Mapping[str, Mapping[str, Any]]
    methods: Collection[str] = ()

    def taught(self, recipe: Recipe) -> Recipe:
        """The recipe with the name of its teacher in full; raises as `in_full`."""
        spec = recipe.teacher
        return recipe if spec is None else recipe.change(teacher=self.in_full(spec))

    def values(self, name: str, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """The values of a varied field, teachers with their names in full; raises as `in_full`."""
        if name != "teacher":
            return values
        return tuple(self.in_full(Spec.parse(value)) if isinstance(value, str | Spec) else value for value in values)

    def in_full(self, spec: Spec, line: tuple[str, ...] = ()) -> Spec:
        """A teacher that is one of these recipes as its base with settings, which records keep and need no study file.

        Methods are returned unchanged. `line` are the students below it.

        Raises:
            UserError: if there is no such method or recipe, it has no base, a setting does not exist, or it would be taught by
                itself.
        """
        if spec.name in self.methods and spec.name not in self.recipes:
            return spec
        if spec.name not in self.recipes:
            known = [*self.recipes, *self.methods]
            raise UserError(f"no method is called {spec.name!r}, and so none can teach; {suggestion(spec.name, known)}")
        if spec.name in line:
            raise UserError(
                f"{spec.name} would be taught by itself: {' by '.join([*line, spec.name])}; set another teacher"
            )
        base = self.given[spec.name].get("base")
        if base is None:
            raise UserError(f"recipes.{spec.name} is a teacher without a base; give it base = a method of a plugin")
        recipe = self.recipes[spec.name].change(**dict(spec.options))
        named = [name.partition(".")[0] for name in self.given[spec.name]]
        fields = dict.fromkeys(
            [name for name in named if name not in ("base", *SHARED)] + [name for name, _ in spec.options]
        )
        settings = {name: getattr(recipe, name) for name in fields}
        if recipe.teacher is not None and recipe.teacher.name in self.recipes:
            settings["teacher"] = self.in_full(recipe.teacher, (*line, spec.name))
        return Spec(base, spec.args, tuple(settings.items()))
