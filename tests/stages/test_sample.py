from functools import cache
from itertools import zip_longest
from typing import Any

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from mgbench.interfaces.ranks import Team
from mgbench.recipes.recipe import LabelDistribution, Recipe
from mgbench.registry.resolve import Assembly, assemble
from mgbench.stages import sample
from mgbench.stages.arithmetic import compiled_blocks, compiles_sampling
from mgbench.stages.cost import Meter
from mgbench.stages.labels import labels_for
from mgbench.stages.sample import BATCHES, Batch, Model, sample_images, sample_tokens
from tests.laws.registered import registry

COUNT = 64
SMALL = {
    "emigm": {
        "network": "mae(width=16, depth=1)",
        "head": "diffusion(width=16, depth=1)",
        "solver": "dpmpp_multistep(steps=4)",
    },
    "maskgit": {"network": "transformer(width=16, depth=1)", "tokenizer": "kmeans(codes=16)"},
}
NAMES = pytest.mark.parametrize("name", SMALL)


@cache
def small(name: str) -> tuple[Assembly, Model]:
    """A recipe with a small model, stirred so that everything depends on everything."""
    recipe = registry().recipes[name][name].change(sampling_steps=5, **SMALL[name])
    assembly = assemble(registry(), recipe)
    parts, data = assembly.parts, assembly.data
    tokenizer = parts.tokenizer.build(data.shape)
    list(tokenizer.fit(data.train[:200], 0))
    torch.manual_seed(0)
    module = parts.process.build(parts, tokenizer.space, assembly.classes)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return assembly, Model(parts, module, tokenizer, tokenizer.space, assembly.classes, torch.device("cpu"))


def drawn(name: str, batch: int, count: int = COUNT, **changes: Any) -> tuple[list[Batch], Meter]:
    assembly, model = small(name)
    meter, recipe = Meter(), assembly.recipe.change(**changes)
    return list(sample_images(model, recipe, count, batch, meter)), meter


def images(name: str, batch: int, count: int = COUNT, **changes: Any) -> torch.Tensor:
    return torch.cat([part.images for part in drawn(name, batch, count, **changes)[0]])


@NAMES
def test_an_image_does_not_depend_on_the_size_of_the_batch(name: str) -> None:
    one, seven, all_at_once = (images(name, batch).double() for batch in (1, 7, COUNT))
    assert one.shape == (COUNT, 1, 8, 8)
    # Of 255 grey levels: sums in another order may round a pixel to its neighbour.
    assert (one - seven).abs().max() <= 1
    assert (one - all_at_once).abs().max() <= 1
    assert (one != all_at_once).double().mean() < 0.01


@NAMES
def test_fewer_images_are_the_first_of_more(name: str) -> None:
    assert torch.equal(images(name, 8, 8), images(name, 8, 16)[:8])


@NAMES
def test_images_differ_from_each_other_and_between_seeds(name: str) -> None:
    some = images(name, 16, 16)
    assert len(some.flatten(1).unique(dim=0)) == 16
    assert (images(name, 16, 16, seed=1) != some).any()


@NAMES
def test_more_steps_give_other_images(name: str) -> None:
    assert (images(name, 16, 16, sampling_steps=8) != images(name, 16, 16)).any()


def test_labels_are_balanced() -> None:
    batches, _ = drawn("maskgit", 7, 20)
    assert torch.cat([part.labels for part in batches]).tolist() == [index % 10 for index in range(20)]
    assert [len(part.images) for part in batches] == [7, 7, 6]
    assert all(part.seconds > 0 for part in batches)


@NAMES
def test_the_cost_of_an_image_does_not_depend_on_the_batch(name: str) -> None:
    (_, first), (_, second) = drawn(name, 7, 14), drawn(name, 14, 14)
    assert first.rows == second.rows
    assert first.rows["network"] % 14 == 0


def test_arithmetic_is_counted_in_the_first_batch_and_every_pass_once() -> None:
    _, meter = drawn("maskgit", COUNT, 4)
    assert meter.flops > 0
    assert meter.rows["network"] == 4 * 5


@pytest.mark.parametrize("count", [2, 3, 20, 64])
def test_a_time_is_the_median_of_three_batches_where_there_are_three_images(count: int) -> None:
    batches, _ = drawn("maskgit", COUNT, count)
    assert len(batches) >= min(count, BATCHES)
    assert sum(len(part.images) for part in batches) == count


@NAMES
@pytest.mark.parametrize("size", [2, 4])
def test_ranks_take_turns_at_the_batches_of_one(name: str, size: int) -> None:
    """Also where there are more of them than batches; what they count adds up, and the first knows the arithmetic of an image."""
    assembly, model = small(name)
    whole, expected = drawn(name, 4, 12)
    meters = [Meter() for _ in range(size)]
    shares = [
        list(sample_images(model, assembly.recipe, 12, 4, meter, Team(rank, size))) for rank, meter in enumerate(meters)
    ]
    turns = [part for turn in zip_longest(*shares) for part in turn if part is not None]
    assert [torch.equal(part.images, same.images) for part, same in zip(turns, whole, strict=True)] == [True] * 3
    assert meters[0].flops == expected.flops
    for other in meters[1:]:
        meters[0].add(other)
    assert (meters[0].rows, meters[0].tokens, meters[0].steps) == (expected.rows, expected.tokens, expected.steps)


@NAMES
def test_the_arithmetic_of_an_image_is_that_of_all(name: str) -> None:
    """Counted on the images of the first batch, and where nothing is drawn by chance the same for every one.

    But for times, which are embedded once a batch.
    """
    _, few = drawn(name, 16, 48, sampling_steps=3)
    _, many = drawn(name, COUNT, 2 * COUNT, sampling_steps=3)
    assert few.flops == pytest.approx(many.flops, rel=0.02)
    _, more = drawn(name, 16, 16, sampling_steps=6)
    assert more.flops > 1.3 * few.flops


def test_compiled_blocks_draw_what_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here graphs are run as they are; that kernels change numbers by rounding alone, the next test holds."""
    name = "emigm"
    graphs, compiler, seen = CompileCounter(), torch.compile, list[int]()
    monkeypatch.setattr(torch, "compile", lambda forward, **how: compiler(forward, backend=graphs, **how))
    (usual, expected), (compiled, found) = drawn(name, 16, 48), drawn(name, 16, 48, sampling_compile="on")
    assert all(torch.equal(one.images, other.images) for one, other in zip(usual, compiled, strict=True))
    assert (found.flops, found.rows, found.tokens) == (expected.flops, expected.rows, expected.tokens)
    assert not any("forward" in vars(module) for module in small(name)[1].module.modules())
    before = graphs.frame_count
    assert before > 0
    timer = sample.clock
    monkeypatch.setattr(sample, "clock", lambda device: seen.append(graphs.frame_count) or timer(device))
    drawn(name, 20, 60, sampling_compile="on", sampling_steps=8)
    assert len(set(seen)) == 1, "whatever is compiled is compiled outside of the times"
    assert graphs.frame_count <= before + 2, "other lengths and batches need no graphs of their own"


@pytest.mark.slow
def test_kernels_of_compiled_blocks_round_otherwise_and_no_more() -> None:
    assembly, model = small("emigm")
    recipe, indices = assembly.recipe, torch.arange(6)
    *_, expected = sample_tokens(model, recipe, indices)
    with compiled_blocks(model.module, compiles=True):
        *_, found = sample_tokens(model, recipe, indices)
    error = (found.tokens - expected.tokens).abs().max() / expected.tokens.abs().max()
    assert 0 < error < 1e-3


@pytest.mark.parametrize(("precision", "share"), [("bfloat16", 0.02), ("float16", 0.005)])
def test_products_of_16_bits_round_otherwise_and_no_more(precision: str, share: float) -> None:
    assembly, model = small("emigm")
    recipe, indices = assembly.recipe.change(sampling_precision=precision), torch.arange(6)
    *_, expected = sample_tokens(model, assembly.recipe, indices)
    trained = [weight.requires_grad_(False) for weight in model.module.parameters()]
    for state in sample_tokens(model, recipe, indices):
        found = state
        assert not torch.is_autocast_enabled("cpu"), "what is done between steps is done as always"
    assert not any(weight.requires_grad for weight in trained)
    assert found.tokens.dtype == torch.float32
    error = (found.tokens - expected.tokens).square().mean().sqrt() / expected.tokens.std()
    assert 0 < error < share
    assert torch.equal(*(images("maskgit", 16, 16, sampling_precision=precision) for _ in range(2)))


@pytest.mark.parametrize(
    ("how", "device", "images", "compiles"),
    [
        ("off", "cuda", 10**6, False),
        ("on", "cpu", 1, True),
        ("auto", "cpu", 10**6, False),
        ("auto", "cuda", 3125, True),
        ("auto", "cuda", 3124, False),
    ],
)
def test_sampling_is_compiled_where_it_pays(how: str, device: str, images: int, compiles: bool) -> None:
    recipe = Recipe().change(sampling_compile=how, sampling_steps=16)
    assert compiles_sampling(recipe, images, torch.device(device)) == compiles


def test_every_token_of_an_unguided_emigm_is_solved_once() -> None:
    _, model = small("emigm")
    recipe: Recipe = small("emigm")[0].recipe.change(guidance_schedule="none")
    plain = assemble(registry(), recipe)
    unguided = Model(plain.parts, model.module, model.tokenizer, model.space, model.classes, model.device)
    meter = Meter()
    list(sample_images(unguided, recipe, 4, 4, meter))
    assert meter.rows["head"] == 4 * 16 * 4
    _, guided = drawn("emigm", 4, 4)
    assert guided.rows["head"] > meter.rows["head"]
    assert guided.rows["network"] > meter.rows["network"]


def test_sampling_is_in_evaluation_mode() -> None:
    _, model = small("maskgit")
    model.module.train()
    images("maskgit", 4, 4)
    assert not model.module.training


@pytest.mark.parametrize("distribution", ["data", "uniform"])
def test_labels_may_be_drawn_otherwise(distribution: LabelDistribution) -> None:
    """A model without counts has as many training images of each class."""
    batches, _ = drawn("maskgit", 7, 20, label_distribution=distribution)
    wanted = labels_for(torch.arange(20), (1,) * 10, distribution, seed=0)
    assert torch.equal(torch.cat([part.labels for part in batches]), wanted)
