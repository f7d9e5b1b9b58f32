import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from mgbench_plugins.emigm import EMIGM
from mgbench_plugins.var import VAR, VAR_RECIPE, NextScale, block_causal, carried, ends, mgbench_recipes
from torch import Tensor, nn
from torch.nn import functional

from mgbench import testing
from mgbench.components.heads.categorical import Categorical
from mgbench.components.heads.code_draws import Softmax
from mgbench.components.networks.blocks import Cache
from mgbench.components.networks.transformers import Transformer
from mgbench.components.processes.masked import Masked
from mgbench.components.schedules.guidance_schedules import ByStep, Constant, Interval, Unguided
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Request, State, Step
from mgbench.registry.prepared import token_space
from mgbench.registry.resolve import Assembly, assemble
from mgbench.stages.cost import Meter
from mgbench.testing.toys import Joint, Scales, toy_parts
from tests.laws.registered import registry

SCALES, CODES = (1, 2, 3), 5
SPACE = TokenSpace(14, 3, codes=CODES)
ENDS = [1, 5, 14]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stirred() -> VAR:
    torch.manual_seed(0)
    module = VAR(NextScale(16, 2, 2), SCALES, CODES, 3)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.requires_grad_(False)


def codes(batch: int = 4) -> Tensor:
    return torch.randint(CODES, (batch, 14), generator=seeded())


LABELS = torch.tensor([0, 1, 2, -1])


def parts(**others: Any) -> Parts:
    return toy_parts(Joint.example(), tokenizer=Scales(SCALES), **others)


def test_a_scale_depends_on_coarser_ones_only() -> None:
    module, tokens = stirred(), codes()
    before = module(tokens[:, :5], LABELS)
    assert before.shape == (4, 14, CODES)
    for first, end in ((0, 1), (1, 5)):
        for place in range(first, end):
            changed = tokens.clone()
            changed[:, place] = (changed[:, place] + 1) % CODES
            moved = (module(changed[:, :5], LABELS) - before).abs().amax((0, 2))
            assert not moved[:end].any(), "neither its own scale nor a coarser one"
            assert (moved[end:] > 1e-5).all()


def test_all_places_of_a_scale_see_each_other() -> None:
    assert block_causal((1, 2)).tolist() == [[True, False, False, False, False]] + 4 * [[True] * 5]
    module, tokens = stirred(), codes()
    before = module(tokens[:, :5], LABELS)
    module.positions[:, 9] += torch.randn(16, generator=seeded())
    moved = (module(tokens[:, :5], LABELS) - before).abs().amax((0, 2))
    assert not moved[:5].any()
    assert (moved[5:] > 1e-5).all()


@pytest.mark.parametrize("cached", [False, True])
def test_one_pass_over_all_scales_is_one_scale_after_the_other(cached: bool) -> None:
    module, tokens = stirred(), codes()
    together = module(tokens[:, :5], LABELS)
    cache = Cache() if cached else None
    first = 0
    for end in ENDS:
        logits = module(tokens[:, :first], LABELS, cache)
        assert logits.shape[1] == (end - first if cached else end)
        torch.testing.assert_close(logits[:, first - end :], together[:, first:end], rtol=1e-4, atol=1e-5)
        first = end


def test_a_cache_may_catch_up_with_several_scales() -> None:
    module, tokens, cache = stirred(), codes(), Cache()
    together = module(tokens[:, :5], LABELS)
    module(tokens[:, :0], LABELS, cache)
    torch.testing.assert_close(module(tokens[:, :5], LABELS, cache), together[:, 1:], rtol=1e-4, atol=1e-5)


def test_what_is_dropped_in_training_is_there_in_sampling() -> None:
    torch.manual_seed(0)
    module = VAR(NextScale(16, 2, 2, dropout=0.5), SCALES, CODES, 3)
    module.load_state_dict(stirred().state_dict())
    tokens = codes()
    first, again = module(tokens[:, :5], LABELS), module(tokens[:, :5], LABELS)
    assert (first - again).abs().amax((0, 2)).min() > 1e-3
    torch.testing.assert_close(module.eval()(tokens[:, :5], LABELS), stirred()(tokens[:, :5], LABELS))


def test_a_place_starts_from_the_picture_so_far() -> None:
    """The sum of the coarser scales, each grown to the full side, shrunk to the side of the next."""
    values = torch.randn(2, 14, 7, generator=seeded())
    picture, first = torch.zeros(2, 7, 3, 3), 0
    for side, end in zip(SCALES, ENDS, strict=True):
        expected = functional.adaptive_avg_pool2d(picture, side).flatten(2).transpose(1, 2)
        torch.testing.assert_close((carried(SCALES) @ values)[:, first:end], expected, rtol=1e-4, atol=1e-5)
        grid = values[:, first:end].transpose(1, 2).reshape(2, 7, side, side)
        picture = picture + functional.interpolate(grid, (3, 3), mode="bicubic")
        first = end
    assert ends(SCALES) == ENDS


class Exact(nn.Module):
    """The true law of a code and of four further ones that depend on it but, given it, not on each other."""

    def __init__(self) -> None:
        super().__init__()
        self.network = self
        generator = seeded(5)
        self.first = torch.rand(2, 2, generator=generator, dtype=torch.float64) + 0.2
        self.others = torch.rand(2, 2, 4, 2, generator=generator, dtype=torch.float64) ** 2 + 0.05
        self.first /= self.first.sum(-1, keepdim=True)
        self.others /= self.others.sum(-1, keepdim=True)

    def joint(self) -> Joint:
        factors = [self.others[:, :, place] for place in range(4)]
        return Joint(torch.einsum("la,lab,lac,lad,lae->labcde", self.first, *factors))

    def forward(self, known: Tensor, labels: Tensor, cache: Any) -> Tensor:
        if not known.shape[1]:
            return self.first[labels].log()[:, None]
        return self.others[labels, known[:, 0]].log()


def request(images: int, label: int = 0) -> Request:
    streams = Streams.root(0, "images").fold(torch.arange(images))
    return Request(torch.full((images,), label), 16, streams, Streams.root(0, "shared"))


@pytest.mark.parametrize("label", [0, 1])
def test_with_the_exact_law_of_each_scale_images_follow_theirs(label: int) -> None:
    exact = Exact()
    given = toy_parts(Joint.example(), tokenizer=Scales((1, 2)))
    *_, last = NextScale().sample(exact, given, TokenSpace(5, 1, codes=2), request(20_000, label))
    assert exact.joint().excess(last.tokens, label) < 4
    assert exact.joint().excess(last.tokens, 1 - label) > 50
    outcomes = exact.joint().outcomes
    chance = dict(zip(map(tuple, outcomes.tolist()), exact.joint().of(label).tolist(), strict=True))
    assert last.log_p is not None
    for tokens, log_p in zip(last.tokens[:50].tolist(), last.log_p[:50].sum(1).tolist(), strict=True):
        assert log_p == pytest.approx(math.log(chance[tuple(tokens)]))


@dataclass(frozen=True)
class Given:
    """A scale for every step."""

    scales: tuple[float, ...]

    def __call__(self, step: Step) -> float:
        return self.scales[step.index]


def sampled(guidance: Any, draw: Any = None) -> tuple[list[State], VAR]:
    module = stirred()
    model = nn.Module()
    model.network = module
    given = parts(guidance_schedule=guidance, code_draw=draw or Softmax())
    labels = torch.tensor([0, 1, 2, 0])
    asked = Request(labels, 16, request(4).images, request(4).shared)
    return list(NextScale().sample(model, given, SPACE, asked)), module


@pytest.mark.parametrize("scales", [(1, 1, 1), (2, 2, 2), (1, 1.5, 2), (2, 1, 3), (1, 1, 4)])
def test_guidance_is_that_of_whole_passes_whatever_was_left_out(scales: tuple[float, ...]) -> None:
    """Against both passes over everything at every scale, with nothing cached."""
    states, module = sampled(Given(scales))
    tokens, labels = torch.zeros(4, 0, dtype=torch.int64), torch.tensor([0, 1, 2, 0])
    for index, (scale, state) in enumerate(zip(scales, states, strict=True)):
        first, end = tokens.shape[1], ENDS[index]
        with_label, without = module(tokens, labels)[:, first:], module(tokens, torch.full((4,), -1))[:, first:]
        log_p = torch.log_softmax((without + scale * (with_label - without)).double(), -1)
        streams = request(4).images.fold(1).fold(index)[:, None].fold(torch.arange(end - first))
        tokens = torch.cat([tokens, (log_p + streams.gumbel(CODES)).argmax(-1)], 1)
        assert torch.equal(state.tokens[:, :end], tokens)
        assert state.mask.tolist() == 4 * [[place >= end for place in range(14)]]


@pytest.mark.parametrize(
    ("guidance", "nfe", "tokens"),
    [
        (Unguided(), 3, 14),
        (Constant(1.0), 3, 14),
        (Constant(2.0), 6, 28),
        # The first step of the ramp is unguided; the second half catches up with its one token.
        (ByStep(2.0), 5, 28),
        # The last step ends at time 0, outside of it.
        (Interval(0.0, 0.4, Constant(2.0)), 4, 19),
    ],
)
def test_nfe_is_a_pass_for_every_scale_and_another_where_it_is_guided(guidance: Any, nfe: int, tokens: int) -> None:
    model = nn.Module()
    model.network = stirred()
    meter = Meter()
    with meter.watch(model):
        states = list(NextScale().sample(model, parts(guidance_schedule=guidance), SPACE, request(4)))
    assert meter.rows["network"] == 4 * nfe
    assert meter.tokens == 4 * tokens, "no token is computed twice"
    assert len(states) == 3


def test_the_ramp_is_that_of_the_paper() -> None:
    """T = cfg·k/(S − 1) in (1 + t)·c − t·u, with cfg 1.5 and 10 scales."""
    ramp = ByStep(2.5)
    steps = [Step(k, 10, 1 - k / 10, 0.9 - k / 10, 1, 1) for k in range(10)]
    assert [ramp(step) for step in steps] == pytest.approx([1 + 1.5 * k / 9 for k in range(10)])


def test_only_the_likeliest_codes_are_drawn_if_asked() -> None:
    states, module = sampled(Unguided(), Softmax(top_k=1))
    tokens = states[-1].tokens
    best = module(tokens[:, :5], torch.tensor([0, 1, 2, 0])).argmax(-1)
    assert torch.equal(tokens, best)
    assert states[-1].log_p is not None
    assert (states[-1].log_p.abs() < 1e-9).all()


def test_the_loss_is_the_mean_surprise_and_the_bound_their_sum() -> None:
    process = NextScale(16, 1, 2, label_drop=0.0)
    model = process.build(parts(), SPACE, 3)
    tokens, labels = codes(), LABELS
    assert float(process.loss(model, parts(), tokens, labels, seeded()).detach()) == pytest.approx(
        math.log(CODES), rel=1e-5
    )
    model.network = stirred()
    log_p = torch.log_softmax(model.network(tokens[:, :5], labels), -1).gather(-1, tokens[..., None])[..., 0]
    loss, bound = (
        process.loss(model, parts(), tokens, labels, seeded()),
        process.bound(model, parts(), SPACE, tokens, labels, seeded()),
    )
    torch.testing.assert_close(loss, -log_p.mean())
    torch.testing.assert_close(bound, -log_p.double().sum(1))


def test_masked_generation_can_take_the_same_tokens() -> None:
    for network in (Transformer(width=16, depth=1),):
        testing.process(Masked(), parts(network=network, head=Categorical()), SPACE)


def parameters(assembly: Assembly) -> int:
    model = assembly.parts.process.build(assembly.parts, token_space(assembly.parts, assembly.data), assembly.classes)
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", sorted(mgbench_recipes()))
def test_its_recipes_can_be_put_together_at_the_size_and_budget_of_emigm(name: str) -> None:
    recipe = mgbench_recipes()[name]
    ours, theirs = (assemble(registry(), one) for one in (recipe, EMIGM))
    assert ours.unfit == ""
    assert parameters(ours) == pytest.approx(parameters(theirs), rel=0.1)
    for budget in ("train_steps", "batch_size", "ema", "dataset", "precision"):
        assert getattr(recipe, budget) == getattr(EMIGM, budget)


def test_the_number_of_steps_means_nothing_to_it() -> None:
    few, many = (assemble(registry(), VAR_RECIPE.change(sampling_steps=steps)) for steps in (2, 64))
    assert few.keys == many.keys
    assert few.spelled["sampling_steps"] is None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"tokenizer": "kmeans"}, "the next scale needs codes that lie in scales; take tokenizer=multiscale"),
        ({"tokenizer": "patch"}, "the next scale needs codes that lie in scales; take tokenizer=multiscale"),
        ({"tokenizer": "multiscale(scales=[1, 2])"}, "end scales with 4"),
        ({"labels": False}, "labels=False"),
        ({"process": None, "head": "diffusion", "code_draw": None}, "the diffusion head draws vectors"),
    ],
)
def test_what_cannot_work_together_is_skipped_with_a_reason(fields: dict[str, Any], reason: str) -> None:
    assert reason in assemble(registry(), VAR_RECIPE.change(**fields)).unfit
