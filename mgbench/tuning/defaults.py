"""The values that a search tries unless it is told others: guidance, sampler, schedule, head steps, averages, temperature."""

from collections.abc import Mapping, Sequence
from typing import Any

from mgbench.recipes.kinds import KINDS
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.spec import Spec, Value, defaults, hints
from mgbench.registry.registry import Registry

# Stands for every component of a kind that needs no options.
EVERY = "all"
# Values by field; those of kinds that a recipe does not use are left out, as are those that do not fit.
USUAL: Mapping[str, tuple[Value, ...]] = {
    "guidance_schedule": (
        "none",
        "constant(scale=1.1..4.0)",
        "linear(scale=1.1..6.0)",
        "interval(low=0.0..0.45, high=0.5..1.0, inner=constant(scale=1.1..6.0))",
    ),
    "sampler": (EVERY,),
    "sampling_schedule": (
        "cosine",
        "linear",
        "exp(rate=1.0..9.0)",
        "logexp(rate=1.0..9.0)",
        "pow_t(p=0.3..3.0)",
    ),
    "code_draw.temperature": ("0.7..1.3",),
    "solver.steps": ("4..24",),
}


def usual_values(registry: Registry, recipe: Recipe, spelled: Mapping[str, Any]) -> dict[str, tuple[Value, ...]]:
    """The usual values of the fields that a recipe uses, and its averages of weights, if it has several."""
    found = {name: every(registry, name, values) for name, values in USUAL.items() if _asked(recipe, spelled, name)}
    return found | ({"sampling_ema": recipe.ema} if len(recipe.ema) > 1 else {})


def _asked(recipe: Recipe, spelled: Mapping[str, Any], name: str) -> bool:
    """Whether a recipe uses a field, and its component has the option; guidance needs labels."""
    field, _, option = name.partition(".")
    if spelled.get(field) is None or (field == "guidance_schedule" and not recipe.labels):
        return False
    return not option or option in dict(Spec.parse(spelled[field]).options)


def every(registry: Registry, name: str, values: Sequence[Value]) -> tuple[Value, ...]:
    """Values of a field, with every component that needs no options in place of `all`."""
    if EVERY not in values or name not in KINDS:
        return tuple(values)
    makers = {each: offer.maker for each, offer in registry.names(name).items()}
    ready = sorted(each for each, maker in makers.items() if set(hints(maker)) <= set(defaults(maker)))
    return tuple(item for value in values for item in (ready if value == EVERY else [value]))
