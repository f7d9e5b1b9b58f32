"""Settings of a recipe that contradict each other, whatever its components are."""

from mgbench.errors import Unfit
from mgbench.recipes.recipe import Recipe


def check_settings(recipe: Recipe) -> None:
    """Refuse settings of training and sampling that contradict each other.

    Raises:
        Unfit: if a batch has no equal parts, or images are to be drawn with an average that is not kept.
    """
    if recipe.batch_size % recipe.accumulate:
        raise Unfit(
            f"batch_size={recipe.batch_size} has no {recipe.accumulate} equal parts (accumulate); change one of them"
        )
    if recipe.sampling_ema is None:
        return
    if recipe.weights:
        raise Unfit(
            f"sampling_ema={recipe.sampling_ema:g} asks for an average, and imported weights are one; leave it out"
        )
    if recipe.sampling_ema not in recipe.ema:
        kept = ", ".join(f"{decay:g}" for decay in recipe.ema)
        raise Unfit(
            f"sampling_ema={recipe.sampling_ema:g} is none of the averages of the training (ema={kept}); add it there"
        )
