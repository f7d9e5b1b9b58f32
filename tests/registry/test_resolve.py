"""From a recipe to its parts: what is asked, what cannot work together and why, defaults, and keys over real components."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mgbench.errors import UserError
from mgbench.recipes.recipe import Recipe
from mgbench.registry.loading import Registry, find, load
from mgbench.registry.prepared import extractor_id
from mgbench.registry.resolve import Assembly, assemble
from tests import doubles
from tests.doubles import TINY

CODES = TINY.change(
    tokenizer="kmeans(codes=8, size=4)",
    head="categorical",
    solver=None,
    network="transformer(width=16, depth=1, heads=2)",
)
GAUSSIAN = Recipe(process="gaussian")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load([find(doubles.FILE)])


def test_a_recipe_is_built_of_what_its_process_asks_and_nothing_else(registry: Registry) -> None:
    parts = vars(assemble(registry, TINY).parts)
    assert {
        "network",
        "head",
        "mask_schedule",
        "masking",
        "sampling_schedule",
        "sampler",
        "solver",
        "extractor",
    } <= set(parts)
    without = vars(assemble(registry, CODES).parts)
    assert "solver" not in without
    assert set(vars(assemble(registry, GAUSSIAN).parts)) == {
        *("process", "dataset", "tokenizer", "guidance_schedule", "extractor", "metrics", "labels")
    }


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        (TINY.change(sampler="maskgit"), "maskgit ranks codes by"),
        (TINY.change(head="categorical", solver=None), "the categorical head draws codes, and this tokenizer has none"),
        (CODES.change(head="diffusion"), "the diffusion head draws vectors, and this tokenizer makes codes"),
        (
            CODES.change(solver="dpmpp_multistep"),
            "solver=dpmpp_multistep is set, but nothing in this recipe asks for a solver",
        ),
        (TINY.change(tokenizer="patch(size=3)"), "patches of 3 pixels do not tile images of 8x8"),
        (TINY.change(labels=False, guidance_schedule="constant"), "labels=False"),
        (TINY.change(labels=False, guidance_schedule="interval(0, 1, none)"), "labels=False"),
        (GAUSSIAN.change(tokenizer="kmeans"), "a Gaussian needs tokens that are vectors"),
    ],
)
def test_parts_that_cannot_work_together_say_why(registry: Registry, recipe: Recipe, reason: str) -> None:
    assert reason in assemble(registry, recipe).unfit


def test_parts_that_can_have_no_reason(registry: Registry) -> None:
    for recipe in (TINY, CODES, GAUSSIAN, CODES.change(sampler="maskgit"), TINY.change(labels=False)):
        assert assemble(registry, recipe).unfit == ""


@pytest.mark.parametrize(
    "field", ["mask_schedule", "sampler", "head", "network", "masking", "loss_weighting", "sampling_schedule"]
)
def test_a_kind_that_nothing_could_ask_is_refused(registry: Registry, field: str) -> None:
    value = {
        "head": "categorical",
        "network": "mae",
        "sampler": "random_order",
        "masking": "exact",
        "loss_weighting": "uniform",
    }
    recipe = GAUSSIAN.change(**{field: value.get(field, "cosine")})
    assembly = assemble(registry, recipe)
    assert assembly.unasked
    assert f"{field}={getattr(recipe, field)} is set, but nothing in this recipe asks for a " in assembly.unfit
    assert "process=gaussian" in assembly.unfit


def test_what_only_came_along_with_a_method_is_left_out(registry: Registry) -> None:
    """A method's solver goes when its head goes; what was asked for by name stays, and is told."""
    swapped = TINY.change(tokenizer="kmeans(codes=16)", head="categorical")
    assert assemble(registry, swapped).unasked
    assembly = assemble(registry, swapped, {"tokenizer", "head"})
    assert assembly.unfit == ""
    assert assembly.spelled["solver"] is None
    assert assemble(registry, swapped, {"tokenizer", "head", "solver"}).unasked
    alone = assemble(registry, swapped.change(solver=None))
    assert assembly.keys == alone.keys


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"sampler": "rendom_order"}, r"no sampler is called 'rendom_order'; did you mean 'random_order'\?"),
        ({"mask_schedule": "exp(rat=3)"}, r"did you mean 'rate'\?"),
        ({"dataset": "digit"}, r"did you mean 'digits'\?"),
        ({"metrics": ["fid", "kidd"]}, r"did you mean 'kid'\?"),
        ({"extractor": "digits_cn"}, r"did you mean 'digits_cnn'\?"),
        ({"process": "gausian"}, r"did you mean 'gaussian'\?"),
    ],
)
def test_what_does_not_exist_is_refused_with_the_nearest(registry: Registry, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        assemble(registry, TINY.change(**fields))


def test_sampling_follows_the_schedule_of_training_unless_it_is_told_otherwise(registry: Registry) -> None:
    base = TINY.change(mask_schedule="exp(rate=3)")
    plain, told = assemble(registry, base), assemble(registry, base.change(sampling_schedule="linear"))
    assert plain.parts.sampling_schedule == plain.parts.mask_schedule
    assert plain.spelled["sampling_schedule"] == "exp(rate=3.0)"
    assert told.parts.sampling_schedule != told.parts.mask_schedule
    assert told.keys.training == plain.keys.training
    assert told.keys.run != plain.keys.run
    assert assemble(registry, base.change(sampling_schedule="exp(3.0)")).keys == plain.keys


def test_the_extractor_follows_the_dataset(registry: Registry) -> None:
    assert assemble(registry, TINY).spelled["extractor"] == "digits_cnn"
    shapes = TINY.change(dataset="shapes(train=16, test=16)")
    assert assemble(registry, shapes).spelled["extractor"] == "shapes_cnn"


def test_what_is_asked_is_spelled_out_and_what_is_not_is_none(registry: Registry) -> None:
    spelled = assemble(registry, GAUSSIAN).spelled
    assert spelled["tokenizer"] == "patch(size=2)"
    assert spelled["sampler"] is None
    assert spelled["guidance_schedule"] == "none"
    assert spelled["metrics"] == ["fid", "kid", "accuracy"]


SAME = [
    {"mask_schedule": "cosine()"},
    {"solver": "dpmpp_multistep(2)"},
    {"solver": "dpmpp_multistep(order=2, steps=2)"},
    {"network": "mae(heads=2, depth=1, width=16, dropout=0)"},
    {"masking": "exact"},
    {"loss_weighting": "uniform"},
    {"extractor": "digits_cnn"},
    {"dataset": "digits"},
    {"clip": 3},
]


@pytest.mark.parametrize("fields", SAME)
def test_another_spelling_of_the_same_has_the_same_keys(registry: Registry, fields: dict[str, Any]) -> None:
    assert assemble(registry, TINY.change(**fields)).keys == assemble(registry, TINY).keys


CHANGES = [
    ("tokens", {"tokenizer": "patch(size=2)"}),
    ("tokens", {"dataset": "shapes(train=16, test=16)"}),
    ("model", {"network": "mae(width=32, depth=1, heads=2)"}),
    ("model", {"head": "diffusion(width=16, depth=1, noise_samples=2)"}),
    ("model", {"mask_schedule": "linear"}),
    ("model", {"masking": "bernoulli"}),
    ("model", {"loss_weighting": "elbo"}),
    ("model", {"process": "masked(label_drop=0.2)"}),
    ("model", {"labels": False}),
    ("model", {"seed": 1}),
    ("model", {"train_steps": 7}),
    ("model", {"weights": "0123456789abcdef" * 4}),
    ("images", {"sampler": "ancestral_shared"}),
    ("images", {"guidance_schedule": "constant"}),
    ("images", {"solver": "dpmpp_multistep(steps=3)"}),
    ("images", {"sampling_steps": 3}),
    ("images", {"samples": 21}),
    ("scores", {"metrics": ["fid"]}),
    ("scores", {"extractor": "shapes_cnn"}),
]


@pytest.mark.parametrize(("stage", "fields"), CHANGES)
def test_a_change_moves_the_keys_from_the_stage_it_decides_on(
    registry: Registry, stage: str, fields: dict[str, Any]
) -> None:
    before, after = assemble(registry, TINY).keys, assemble(registry, TINY.change(**fields)).keys
    moved = (before.tokenizer != after.tokenizer, before.training != after.training, before.run != after.run)
    expected = {"tokens": (True, True, True), "model": (False, True, True)}
    assert moved == expected.get(stage, (False, False, True))


def test_a_component_inside_another_counts_with_its_options(registry: Registry) -> None:
    specs = ["interval(0, 1, constant(2))", "interval(0, 1, constant(3))", "interval(0, 1, linear(2))"]
    keys = [assemble(registry, TINY.change(guidance_schedule=spec)).keys.run for spec in specs]
    assert len(set(keys)) == 3
    assert (
        assemble(registry, TINY.change(guidance_schedule="interval(low=0.0, high=1.0, inner=constant)")).keys.run
        == keys[0]
    )


def test_how_many_images_and_classes_there_are(registry: Registry) -> None:
    def made(**fields: Any) -> Assembly:
        return assemble(registry, TINY.change(**fields))

    assert (made().samples, made(samples=0).samples) == (20, 500)
    assert (made().classes, made(labels=False).classes) == (10, 0)


def write_plugin(folder: Path, text: str) -> Registry:
    path = folder / "mine.py"
    path.write_text("from dataclasses import dataclass\nfrom mgbench import Unfit, hookimpl\nimport torch\n" + text)
    return load([find(str(path))])


def test_a_metric_may_say_that_it_does_not_fit_too(tmp_path: Path) -> None:
    registry = write_plugin(
        tmp_path,
        """
@dataclass(frozen=True)
class Picky:
    def check(self, parts, space):
        raise Unfit("picky likes nothing")
    def __call__(self, generated, reference):
        return {"picky": 0.0}
@hookimpl
def mgbench_metrics():
    return {"picky": Picky}
""",
    )
    assert "picky likes nothing" in assemble(registry, TINY.change(metrics=["fid", "picky"])).unfit


def test_a_component_inside_another_may_say_that_it_does_not_fit_too(tmp_path: Path) -> None:
    registry = write_plugin(
        tmp_path,
        """
@dataclass(frozen=True)
class Picky:
    def check(self, parts, space):
        raise Unfit("picky likes nothing")
    def __call__(self, step):
        return 1.0
@hookimpl
def mgbench_guidance_schedules():
    return {"picky": Picky}
""",
    )
    assert "picky likes nothing" in assemble(registry, TINY.change(guidance_schedule="interval(0, 1, picky)")).unfit


def test_images_without_labels_fit_only_a_recipe_without_labels(tmp_path: Path) -> None:
    registry = write_plugin(
        tmp_path,
        """
from typing import ClassVar
from mgbench.interfaces.data import ImageData
@dataclass(frozen=True)
class Bare:
    extractor: ClassVar[str] = "digits_cnn"
    def load(self):
        images = torch.zeros(4, 1, 8, 8, dtype=torch.uint8)
        return ImageData(images, None, images, None)
@hookimpl
def mgbench_datasets():
    return {"bare": Bare}
""",
    )
    bare = TINY.change(dataset="bare")
    assert "bare has no labels; set labels=False" in assemble(registry, bare).unfit
    assert assemble(registry, bare.change(labels=False)).unfit == ""


def test_other_weights_of_the_extractor_move_the_key_of_the_scores_only(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = assemble(registry, TINY).keys
    trained_anew = SimpleNamespace(id="digits_cnn@0000")
    monkeypatch.setattr("mgbench.components.extractors.embedded._build", lambda name: trained_anew)
    extractor_id.cache_clear()
    registry.memory.clear()
    after = assemble(registry, TINY).keys
    extractor_id.cache_clear()
    registry.memory.clear()
    assert (after.tokenizer, after.training) == (before.tokenizer, before.training)
    assert after.run != before.run
