"""The released models: as many parameters and passes as the papers and the official code have."""

from typing import Any

import pytest
import torch
from accelerate import init_empty_weights

from mgbench.components.checkpoints.released import heads_of, released_emigm, released_mar, sampling_of
from mgbench.components.processes.masked import MaskedModel
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.study import Outline
from mgbench.registry.resolve import assemble
from mgbench.stages.cost import Meter
from mgbench.stages.sample import Model, sample_tokens
from tests.laws.registered import registry

RECIPES = {name: Recipe.of(**fields) for name, fields in {**released_emigm(), **released_mar()}.items()}
PARAMETERS = {
    "emigm-xs-256": 69_018_848,
    "emigm-s-256": 96_640_544,
    "emigm-b-256": 207_924_000,
    "emigm-l-256": 478_325_280,
    "emigm-h-256": 942_401_824,
    "emigm-xs-512": 104_506_624,
    "emigm-s-512": 132_145_728,
    "emigm-b-512": 244_150_592,
    "emigm-l-512": 478_403_136,
    # MAR's mask token is a vector of its own.
    "mar-b-256": 207_924_768,
    "mar-l-256": 478_326_304,
    "mar-h-256": 942_403_104,
}


def built(recipe: Recipe, space: TokenSpace) -> MaskedModel:
    """The model of a recipe, its parameters without content."""
    network, head = (registry().build(kind, getattr(recipe, kind)) for kind in ("network", "head"))
    with init_empty_weights(include_buffers=False):
        trunk = network.build(space, 1000)
        return MaskedModel(trunk, head.build(space, trunk.width))


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_parameters_are_those_of_the_paper(name: str) -> None:
    tokenizer = registry().build("tokenizer", RECIPES[name].tokenizer)  # type: ignore[arg-type]
    side = int(name.rpartition("-")[2])
    space = tokenizer.expected_space((3, side, side))
    assert (space.length, space.dim) == (256, 32 if side == 512 else 16)
    assert sum(part.numel() for part in built(RECIPES[name], space).parameters()) == PARAMETERS[name]


# Network passes of an image (eMIGM: Tables 2 and 3 round 16 + 3, 128 + 53, 64 + 16; MAR guides every step).
NFE = {name: 19 for name in RECIPES if name.startswith("emigm") and "steps" not in name}
NFE |= {name: 181 for name in RECIPES if name.endswith("128steps")}
NFE |= {name: 80 for name in RECIPES if name.endswith("64steps")}
NFE |= {"emigm-b-256-128steps": 173, "emigm-h-256-128steps": 179}
NFE |= {name: 512 for name in RECIPES if name.startswith("mar")}
# One of each setting, since sizes do not matter to it.
COUNTED = ["emigm-xs-256", "emigm-h-256", "emigm-l-512", "emigm-s-256-128steps", "emigm-b-256-128steps"]
COUNTED += ["emigm-h-256-128steps", "emigm-b-512-64steps", "mar-b-256"]


@pytest.mark.parametrize("name", COUNTED)
def test_the_passes_are_those_that_are_published(name: str) -> None:
    small: dict[str, Any] = {"network": "mae(width=8, depth=1, heads=2, class_tokens=1)", "head": "diffusion(width=8)"}
    here = {
        "dataset": "shapes(train=20, test=20)",
        "tokenizer": "patch(size=1)",
        "solver": "ddim(steps=1)",
        "samples": 20,
    }
    assembly = assemble(registry(), RECIPES[name].change(**small, **here, metrics="fid", extractor="shapes_cnn"))
    assert assembly.unfit == ""
    parts, cpu = assembly.parts, torch.device("cpu")
    tokenizer: Any = parts.tokenizer
    cut = tokenizer.build(assembly.data.shape)
    assert cut.space.length == 256
    model = parts.process.build(parts, cut.space, 10).eval()
    meter = Meter()
    with meter.watch(model):
        steps = len(list(sample_tokens(Model(parts, model, cut, cut.space, 10, cpu), assembly.recipe, torch.arange(2))))
    assert steps == RECIPES[name].sampling_steps
    assert meter.rows["network"] / 2 == NFE[name]


def test_the_trainings_are_those_of_the_scripts() -> None:
    for name, recipe in RECIPES.items():
        small = name.startswith(("emigm-xs", "emigm-s"))
        assert (recipe.batch_size, recipe.train_steps) == ((1024, 1_000_800) if small else (2048, 500_000))
        assert recipe.learning_rate == pytest.approx(1e-4 * recipe.batch_size / 256)
        assert recipe.warmup_steps * 8 == recipe.train_steps


def test_both_ways_of_sampling_share_a_model_and_keep_their_steps() -> None:
    study = Outline(methods=("emigm-l-256", "emigm-l-256-128steps")).study({"emigm_imagenet": RECIPES})
    assert [(method, recipe.sampling_steps) for method, recipe in study.expand()] == [
        ("emigm-l-256", 16),
        ("emigm-l-256-128steps", 128),
    ]
    keys = [assemble(registry(), recipe).keys for _, recipe in study.expand()]
    assert keys[0].training == keys[1].training
    assert keys[0].images != keys[1].images


@pytest.mark.parametrize("name", [name for name in PARAMETERS if "steps" not in name])
def test_what_is_imported_is_sampled_as_what_was_released(name: str) -> None:
    recipe = RECIPES[name]
    width = dict(recipe.network.options)["width"]  # type: ignore[union-attr]
    said = sampling_of(name.startswith("emigm"), width, 32 if name.endswith("512") else 16)
    assert Recipe.of(**said) == Recipe().change(**{field: getattr(recipe, field) for field in said})
    assert heads_of(width) == dict(recipe.network.options)["heads"]  # type: ignore[union-attr]


def test_the_parts_are_looked_up_without_data() -> None:
    """A folder that is not there is a reason to skip, and the only one."""
    found = assemble(registry(), RECIPES["emigm-l-256"])
    assert "data/imagenet" in found.unfit
    assert isinstance(found.parts, Parts)
