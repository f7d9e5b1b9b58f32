"""The kinds that a recipe uses, with the recipe's specs or the defaults."""

from collections.abc import Mapping

from mgbench.errors import UserError
from mgbench.interfaces import optional
from mgbench.recipes.kinds import ALWAYS_ASKED, KINDS
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.spec import Spec
from mgbench.registry.registry import Bound, Registry


def kinds_in_use(registry: Registry, recipe: Recipe) -> dict[str, Bound]:
    """The resolved spec of every kind in use, in the order of the kinds; components found so far ask for others.

    Raises:
        UserError: if a component or option does not exist, or a kind is in use that has no default.
    """
    bounds: dict[str, Bound] = {}
    waiting = list(ALWAYS_ASKED)
    while waiting:
        kind = waiting.pop(0)
        if kind not in bounds:
            spec = getattr(recipe, kind) or _default(recipe, bounds, kind)
            bounds[kind] = registry.bound(kind, spec)
            waiting += optional.asked_kinds(bounds[kind].offers[0].maker)
    return {kind: bounds[kind] for kind in KINDS if kind in bounds}


def _default(recipe: Recipe, bounds: Mapping[str, Bound], kind: str) -> Spec:
    """The default of a kind: its own, or the one that a component found so far names.

    Raises:
        UserError: if there is none.
    """
    if (default := KINDS[kind].default) is not None:
        return default
    if kind == "sampling_schedule":
        return recipe.mask_schedule or _default(recipe, bounds, "mask_schedule")
    for bound in bounds.values():
        if (usual := optional.usual_answer(bound.offers[0].maker, kind)) is not None:
            return Spec.parse(usual)
    raise UserError(f"nothing in this recipe says which {kind.replace('_', ' ')} is usual; set {kind}")
