"""A budget of network forwards: they are counted for one image without a trained model, and steps chosen to fit."""

from collections.abc import Callable
from dataclasses import dataclass, field

from mgbench.errors import Unfit
from mgbench.recipes.recipe import Recipe
from mgbench.registry.prepared import token_space
from mgbench.registry.resolve import Assembly
from mgbench.stages.dry_run import image_costs

Assemble = Callable[[Recipe], Assembly]
# Where a step is less than one forward, up to so many steps for each forward are considered.
_MOST_STEPS = 4


@dataclass
class Budget:
    """At most `nfe` forwards of the network for an image. `steps` is False where the number of steps is given.

    What was counted is remembered.
    """

    nfe: float
    assemble: Assemble
    steps: bool = True
    _counted: dict[str, float] = field(default_factory=dict)
    # Forwards of a step, as counted last: the first guess for the next recipe.
    _each: float = 1.0

    def fitted(self, recipe: Recipe) -> Recipe:
        """The recipe with the most forwards that the budget allows, in the fewest steps, or as it is with given steps.

        Raises:
            Unfit: if its components cannot work together, or it needs more forwards.
        """
        if not self.steps:
            return self._checked(recipe, self.forwards(recipe))
        count = max(1, round(self.nfe / self._each))
        while count > 1 and self._needs(recipe, count) > self.nfe:
            count -= 1
        while (
            count < _MOST_STEPS * self.nfe and self._needs(recipe, count) < self._needs(recipe, count + 1) <= self.nfe
        ):
            count += 1
        # More steps than tokens, for example, need no more forwards.
        while count > 1 and self._needs(recipe, count - 1) == self._needs(recipe, count):
            count -= 1
        return self._checked(recipe.change(sampling_steps=count), self._needs(recipe, count))

    def _needs(self, recipe: Recipe, steps: int) -> float:
        return self.forwards(recipe.change(sampling_steps=steps))

    def _checked(self, recipe: Recipe, needed: float) -> Recipe:
        if needed > self.nfe:
            raise Unfit(f"it needs {needed:g} forwards of the network with {recipe.sampling_steps} sampling steps")
        self._each = max(needed / recipe.sampling_steps, 1 / _MOST_STEPS)
        return recipe

    def forwards(self, recipe: Recipe) -> float:
        """The forwards of the network for one image.

        Raises:
            Unfit: if the components of the recipe cannot work together.
        """
        assembly = self.assemble(recipe)
        if assembly.unfit:
            raise Unfit(assembly.unfit)
        key = assembly.keys.images
        if key not in self._counted:
            space = token_space(assembly.parts, assembly.data)
            self._counted[key] = image_costs(assembly.parts, space, assembly.classes, assembly.recipe)["nfe"]
        return self._counted[key]
