"""Costs of trials before they run: counted from their recipes, with what is known of their data and what is assumed of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mgbench.errors import Unfit, UserError
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.optional import expected_space
from mgbench.registry.resolve import Assembly
from mgbench.stages.dry_run import ModelCosts, image_costs, model_costs
from mgbench.trials.plan import Row


@dataclass(frozen=True)
class Assumed:
    """Data that are not at hand: training images, held-out images, classes and the side of the images; those of ImageNet."""

    images: int = 1_281_167
    held_out: int = 50_000
    classes: int = 1000
    side: int = 256


@dataclass(frozen=True)
class Facts:
    """Tokens and classes of a model, training images, images to draw, and the shape (C, H, W') of one; `assumed` says what of
    that is an assumption.
    """

    space: TokenSpace
    classes: int
    images: int
    samples: int
    shape: tuple[int, int, int]
    assumed: str = ""


@dataclass(frozen=True)
class TrialCosts:
    """Costs of a trial: of its model, and by the keys of its rows of an image; operations in all."""

    facts: Facts
    model: ModelCosts
    rows: Mapping[str, Mapping[str, float]]
    training_flops: float
    sampling_flops: float


def trial_costs(rows: Sequence[Row], assumed: Assumed, trained: bool) -> TrialCosts:
    """The costs of rows that share a model, which is not trained where it is `trained` already.

    Raises:
        Unfit: if the images have no tokens.
        UserError: if the tokenizer cannot tell its tokens.
    """
    assembly = rows[0].assembly
    facts, recipe = facts_of(assembly, assumed), assembly.recipe
    taught_by = assembly.teacher.parts if assembly.teacher else None
    model = model_costs(assembly.parts, facts.space, facts.classes, taught_by)
    each = {row.key: image_costs(row.assembly.parts, facts.space, facts.classes, row.assembly.recipe) for row in rows}
    seen = 0 if trained or recipe.weights else recipe.train_steps * recipe.batch_size
    drawn = sum(each[row.key]["flops_per_image"] * facts_of(row.assembly, assumed).samples for row in rows)
    return TrialCosts(facts, model, each, seen * model.training_flops, drawn)


def facts_of(assembly: Assembly, assumed: Assumed) -> Facts:
    """The facts of a recipe, assumed where its data are not at hand; raises as `trial_costs`."""
    images, recipe = assembly.images, assembly.recipe
    if images is not None:
        space, said = _space(assembly, images.shape)
        return Facts(space, assembly.classes, len(images.train), assembly.samples, images.shape, said)
    side = getattr(assembly.parts.dataset, "size", 0) or assumed.side
    shape = (3, side, side)
    space, said = _space(assembly, shape)
    data = f"{assumed.images:,} images of {side}x{side} in {assumed.classes:,} classes"
    classes = assumed.classes if recipe.labels else 0
    samples, said = recipe.samples or assumed.held_out, " and ".join(filter(None, (data, said)))
    return Facts(space, classes, assumed.images, samples, shape, said)


def _space(assembly: Assembly, shape: tuple[int, int, int]) -> tuple[TokenSpace, str]:
    """The tokens of images of a shape, and a note where the tokenizer is not at hand."""
    tokenizer = assembly.parts.tokenizer
    try:
        return tokenizer.build(shape).space, ""
    except Unfit:
        raise
    except UserError:
        expected = expected_space(tokenizer, shape)
        if expected is None:
            raise
        return expected, f"tokens as {assembly.recipe.tokenizer} expects them"
