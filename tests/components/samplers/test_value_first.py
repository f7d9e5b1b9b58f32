import dataclasses
import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from mgbench_plugins.maskgit import MASKGIT, MaskGIT
from torch import Tensor, nn

from mgbench.components.heads.categorical import CategoricalModule
from mgbench.components.processes.masked import Masked
from mgbench.components.samplers.value_first import EntropyBounded, LowConfidence, Margin, Moment, PathPlanning
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Request, SamplerInput, State, Step
from mgbench.registry.resolve import assemble
from mgbench.stages.sample import Meter
from mgbench.testing.toys import Evenly, Joint, Line, toy_parts
from tests.laws.registered import registry


def log(*rows: list[float]) -> Tensor:
    """Logits [1,N,K] of probabilities."""
    return torch.tensor(rows, dtype=torch.float64).log()[None]


CHANCES = log([0.5, 0.4, 0.1], [0.6, 0.2, 0.2], [0.9, 0.05, 0.05], [0.34, 0.33, 0.33], [1.0, 0.0, 0.0])
ALL = torch.ones(1, 5, dtype=torch.bool)
ONE = Streams.root(0, "images").fold(torch.arange(1))


def step(reveal: int | None = 1, index: int = 0, total: int = 4, tokens: int = 5) -> Step:
    left = 0.0 if index == total - 1 else 1 - (reveal or 0) / tokens
    return Step(index, total, 1 - index / total, 1 - (index + 1) / total, 1.0, left, reveal)


def seen(mask: Tensor = ALL, logits: Tensor = CHANCES, log_p: Tensor | None = None) -> SamplerInput:
    return SamplerInput(TokenSpace(mask.shape[1], 1, codes=logits.shape[-1]), mask, log_p, logits)


def revealed(sampler: Any, view: SamplerInput, now: Step) -> list[int]:
    return (view.mask & ~sampler.choose(view, now, ONE))[0].nonzero().flatten().tolist()


def test_margin_reveals_where_the_first_code_leads_the_second_by_most() -> None:
    # Leads: 0.1, 0.4, 0.85, 0.01, 1.
    assert [revealed(Margin(), seen(), step(count)) for count in (1, 2, 3, 4)] == [[4], [2, 4], [1, 2, 4], [0, 1, 2, 4]]
    visible = ALL.clone()
    visible[0, 4] = False
    assert revealed(Margin(), seen(visible), step(1)) == [2]


def test_margin_of_a_single_code_is_its_probability() -> None:
    assert revealed(Margin(), seen(logits=torch.zeros(1, 5, 1)), step(2)) == [0, 1]


def test_low_confidence_keeps_the_likeliest_values() -> None:
    log_p = torch.tensor([[0.4, 0.6, 0.05, 0.34, 1.0]]).double().log()
    assert revealed(LowConfidence(), seen(log_p=log_p), step(3)) == [0, 1, 4]
    assert LowConfidence(temperature=0.3).value_temperature(step()) == 0.3


def test_low_confidence_finishes_a_block_before_the_next() -> None:
    log_p = torch.tensor([[0.4, 0.6, 0.05, 0.34, 1.0]]).double().log()
    first = LowConfidence(blocks=2)
    # Blocks {0, 1, 2} and {3, 4}.
    assert [revealed(first, seen(log_p=log_p), step(count)) for count in (1, 3, 4)] == [[1], [0, 1, 2], [0, 1, 2, 4]]
    one_by_one = LowConfidence(blocks=50)
    assert revealed(one_by_one, seen(log_p=log_p), step(2)) == [0, 1]
    never = torch.full((1, 5), -1e9, dtype=torch.float64)
    assert revealed(first, seen(log_p=never), step(3)) == [0, 1, 2]


def entropies(chances: Tensor) -> list[float]:
    return [-sum(p * math.log(p) for p in row if p) for row in chances[0].exp().tolist()]


@pytest.mark.parametrize("budget", [0.0, 0.2, 0.5, 0.9, 1.5, 1.9, 2.5, 10.0])
def test_the_entropy_bound_takes_the_most_tokens_it_allows(budget: float) -> None:
    ordered = sorted(range(5), key=lambda token: entropies(CHANCES)[token])
    values = sorted(entropies(CHANCES))
    allowed = [count for count in range(1, 6) if sum(values[:count]) - max(values[:count]) <= budget]
    assert revealed(EntropyBounded(budget=budget), seen(), step(None)) == sorted(ordered[: max(allowed)])


def test_the_entropy_bound_sees_masked_tokens_only() -> None:
    mask = torch.tensor([[True, True, False, True, False]])
    assert revealed(EntropyBounded(budget=0.0), seen(mask), step(None)) == [0]
    assert revealed(EntropyBounded(budget=99.0), seen(mask), step(None)) == [0, 1, 3]
    assert revealed(EntropyBounded(budget=0.0), seen(mask), step(None, index=3)) == [0, 1, 3]


JOINT = Joint.example(length=5, codes=2)


def run(sampler: Any, steps: int, images: int = 200, **others: Any) -> tuple[list[State], Meter]:
    parts, meter = toy_parts(JOINT, sampler=sampler, **others), Meter()
    model = Masked().build(parts, JOINT.space, JOINT.classes)
    streams = Streams.root(0, "images").fold(torch.arange(images))
    request = Request(torch.arange(images) % 2, steps, streams, Streams.root(0, "shared"))
    with torch.no_grad(), meter.watch(model):
        return list(Masked().sample(model, parts, JOINT.space, request)), meter


def test_no_budget_is_one_token_a_step_and_finished_images_cost_nothing() -> None:
    states, meter = run(EntropyBounded(budget=0.0), 12)
    counts = [int(state.mask.sum(1).unique()) for state in states]
    assert counts == [4, 3, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert meter.rows["network"] == 200 * 5


def test_the_entropy_bound_gives_every_image_its_pace() -> None:
    states, meter = run(EntropyBounded(budget=1.0), 12)
    assert len(states[1].mask.sum(1).unique()) > 1
    assert 200 * 1.5 < meter.rows["network"] < 200 * 4.5


TOKENS, CODES, PICKS, RUNS = 400, 8, 8, 1500
LOGITS = 2 * torch.randn(1, TOKENS, CODES, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def picked(sampler: Any, now: Step) -> Tensor:
    """How often each value [N,K] of each token is drawn and chosen, among all that are."""
    heat = getattr(sampler, "value_temperature", lambda _: 1.0)(now)
    log_p = torch.log_softmax(LOGITS, -1)
    counts = torch.zeros(TOKENS, CODES, dtype=torch.float64)
    mask = torch.ones(50, TOKENS, dtype=torch.bool)
    for start in range(0, RUNS, 50):
        images = Streams.root(1, "images").fold(torch.arange(start, start + 50))
        noise = images.fold(1)[:, None].fold(torch.arange(TOKENS)).gumbel(CODES)
        codes = (log_p + heat * noise).argmax(-1)
        of_drawn = log_p.expand(50, -1, -1).gather(-1, codes[..., None]).squeeze(-1)
        view = seen(mask, LOGITS.expand(50, -1, -1), of_drawn)
        chosen = ~sampler.choose(view, now, images)
        counts += (torch.nn.functional.one_hot(codes, CODES) * chosen[..., None]).sum(0)
    return counts / counts.sum()


def test_moment_is_what_maskgit_does_in_effect() -> None:
    """Both draw a value at a token in proportion to p^(1 + 1/τ) where few of many tokens are chosen."""
    tau, now = 2.0, step(PICKS, index=1, total=4, tokens=TOKENS)
    chances = torch.log_softmax(LOGITS[0], -1)
    truth = (chances * (1 + 1 / tau)).exp() / (chances * (1 + 1 / tau)).exp().sum()
    order = chances.flatten().argsort()

    def deciles(share: Tensor) -> Tensor:
        return torch.stack([part.sum() for part in share.flatten()[order].chunk(10)])

    for sampler in (MaskGIT(temperature=2 * tau), Moment(temperature=2 * tau)):
        off = (deciles(picked(sampler, now)) - deciles(truth)).abs().max()
        assert float(off) < 0.02, sampler
    assert float((deciles(chances.exp() / TOKENS) - deciles(truth)).abs().max()) > 0.1


def test_the_last_step_of_moment_draws_from_p_itself() -> None:
    assert Moment().value_temperature(step(5, index=3)) == 1
    heats = [Moment(temperature=4.0).value_temperature(step(1, index=index)) for index in range(3)]
    assert heats == pytest.approx([1 / (1 + 1 / tau) for tau in (3, 2, 1)])


class LeavesOneOut(nn.Module):
    """z of a visible token is its law given the other visible ones, so that it is not sure of itself."""

    def __init__(self, joint: Joint) -> None:
        super().__init__()
        self.joint, self.width = joint, 2

    def forward(self, tokens: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        z = self.joint.conditional(tokens, mask, labels)
        for token in range(mask.shape[1]):
            hidden = mask.clone()
            hidden[:, token] = True
            z[:, token] = self.joint.conditional(tokens, hidden, labels)[:, token]
        return z


class Doubtful:
    def build(self, space: TokenSpace, classes: int) -> LeavesOneOut:
        return LeavesOneOut(JOINT)


def masked_again(states: list[State]) -> int:
    return sum(int((after.mask & ~before.mask).sum()) for before, after in pairwise(states))


def test_path_planning_keeps_the_count_and_masks_again_as_eta_grows() -> None:
    again = []
    for eta in (0.0, 0.5, 1.0, 2.0):
        sampler = PathPlanning(eta=eta)
        states, meter = run(sampler, 8, network=Doubtful())
        plan = list(sampler.plan(Line(), JOINT.space, Evenly()(8), Streams.root(0, "shared")))
        counts = [state.mask.sum(1).unique().tolist() for state in states]
        assert counts == [[round(5 * one.share_then)] for one in plan]
        assert meter.rows["head"] == 200 * 5 * len(plan)
        again.append(masked_again(states))
    assert again[0] == 0
    assert again == sorted(again)
    assert again[1] > 0


def test_path_planning_prefers_a_visible_token_to_a_masked_one_of_the_same_score() -> None:
    sure = torch.zeros(1, 4, dtype=torch.float64)
    mask = torch.tensor([[False, True, False, True]])
    now = dataclasses.replace(step(None, tokens=4), share_then=0.25)
    assert PathPlanning().choose(seen(mask, torch.zeros(1, 4, 2), sure), now, ONE).tolist() == [
        [False, True, False, False]
    ]


def test_path_planning_masks_a_value_that_cannot_be() -> None:
    log_p = torch.tensor([[-math.inf, -1.0, -2.0, -3.0]], dtype=torch.float64)
    mask = torch.tensor([[False, True, False, True]])
    now = dataclasses.replace(step(None, tokens=4), share_then=0.25)
    view = seen(mask, torch.zeros(1, 4, 2), log_p)
    assert PathPlanning(eta=2.0).choose(view, now, ONE).tolist() == [[True, False, False, False]]
    assert PathPlanning(eta=0.0).choose(view, now, ONE).tolist() == [[False, False, False, True]]


@pytest.mark.parametrize("name", ["margin", "low_confidence", "entropy_bounded", "moment", "p2", "muse", "remdm_conf"])
def test_what_ranks_codes_is_skipped_for_vectors_with_a_reason(name: str) -> None:
    recipe = MASKGIT.change(tokenizer="patch", head="diffusion", sampler=name)
    reason = assemble(registry(), recipe).unfit
    assert f"{name} ranks codes" in reason
    assert "random_order" in reason
    assert assemble(registry(), MASKGIT.change(sampler=name)).unfit == ""


@pytest.mark.parametrize("sampler", [Margin(), LowConfidence(), Moment(), PathPlanning(), EntropyBounded()])
def test_what_ranks_codes_says_what_it_lacks(sampler: Any) -> None:
    with pytest.raises(ValueError, match=r"logits|log-probabilities"):
        sampler.choose(SamplerInput(TokenSpace(5, 1, codes=3), ALL), step(1), ONE)


def test_codes_are_drawn_in_float64_because_less_lowers_the_temperature() -> None:
    """Half of the probability lies on 2^26 rare codes. The largest of that many numbers decides: float32 has none so large."""
    rare, rng = 2**26, 4000
    generator = torch.Generator().manual_seed(0)
    largest = torch.rand(rng, generator=generator, dtype=torch.float64) ** (1 / rare)
    other = torch.rand(rng, generator=generator, dtype=torch.float64)

    def share_of_rare(bits: int) -> float:
        """With uniform numbers that are multiples of 2^-bits, as torch draws them (24 in float32, 53 in float64)."""
        best, one = (((number * 2**bits).floor() + 0.5) / 2**bits for number in (largest, other))
        return float((-(-best.log()).log() - math.log(rare) > -(-one.log()).log()).double().mean())

    assert share_of_rare(53) == pytest.approx(0.5, abs=0.03)
    assert share_of_rare(24) < 0.2
    head = CategoricalModule.__new__(CategoricalModule)
    nn.Module.__init__(head)
    head.logits = nn.Linear(4, 6)
    drawn = head.sample(torch.zeros(3, 4), None, 1.0, Streams.root(0, "rows").fold(torch.arange(3)), toy_parts(JOINT))
    assert drawn.logits is not None
    assert drawn.logits.dtype == torch.float64
