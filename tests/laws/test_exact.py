"""Sampled images against laws that are known to the last digit, over a joint law of three tokens of three codes."""

import itertools
import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from mgbench_plugins.dfm import Euler
from mgbench_plugins.maskgit import MaskGIT
from mgbench_plugins.remdm import Cap, Loop, Rescale
from torch import Generator, Tensor

from mgbench.components.heads.categorical import Categorical
from mgbench.components.networks.transformers import Transformer
from mgbench.components.processes.masked import Masked
from mgbench.components.samplers.position_first import Ancestral, FirstHitting, RandomOrder
from mgbench.components.samplers.value_first import EntropyBounded, Margin
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Step
from mgbench.testing.toys import Evenly, Line, toy_parts
from tests.laws.exact import JOINT, chain, finished, states
from tests.laws.registered import built, registry

POSITION_FIRST = [name for name, offer in registry().names("sampler").items() if offer.maker.requires == "mask"]  # type: ignore[attr-defined]


def plan_of(sampler: Any, steps: int) -> list[Step]:
    return list(sampler.plan(Line(), JOINT.space, Evenly()(steps), Streams.root(5, "shared")))


def one_at_a_time(sampler: Any) -> int | None:
    """A number of steps in which it reveals one token a step, if it counts its tokens."""
    few = (steps for steps in (3, 10, 100, 1000) if all(step.reveal == 1 for step in plan_of(sampler, steps)))
    return next(few, None)


COUNTING = [name for name in POSITION_FIRST if one_at_a_time(built("sampler", name))]
RANKED_BLINDLY = [Margin(), EntropyBounded(budget=0.0)]


def is_of(tokens: Tensor, law: int | Tensor) -> bool:
    """Within four standard deviations of the chi-square statistic of true samples."""
    return JOINT.excess(tokens, law) < 4


@pytest.mark.parametrize("label", [0, 1, -1])
@pytest.mark.parametrize("name", COUNTING)
def test_one_token_a_step_draws_from_the_true_joint_law(name: str, label: int) -> None:
    """In any order that does not depend on the values."""
    sampler = built("sampler", name)
    assert is_of(finished(sampler, one_at_a_time(sampler) or 0, label), label)


def test_many_samplers_count_their_tokens() -> None:
    assert {"random_order", "planned", "first_hitting", "halton", "ancestral_shared"} <= set(COUNTING)


@pytest.mark.parametrize("sampler", RANKED_BLINDLY)
def test_so_does_ranking_tokens_before_their_values_are_drawn(sampler: Any) -> None:
    assert is_of(finished(sampler, 3), 0)


@pytest.mark.parametrize("name", POSITION_FIRST)
def test_all_tokens_in_one_step_draw_from_the_product_of_their_margins(name: str) -> None:
    tokens = finished(built("sampler", name), 1)
    assert is_of(tokens, JOINT.product(0))
    assert JOINT.excess(tokens, 0) > 50


def test_another_class_has_another_law() -> None:
    assert JOINT.excess(finished(RandomOrder(), 3), 1) > 50


def test_always_the_likeliest_is_not_the_joint_law() -> None:
    assert JOINT.excess(finished(MaskGIT(temperature=0.0), 3), 0) > 6


def test_a_chain_is_right_where_the_law_is_plain() -> None:
    torch.testing.assert_close(chain(JOINT, 0, [(1.0, 0.0)]), JOINT.product(0))


def alphas(steps: int) -> list[tuple[float, float]]:
    """α = 1 − γ before and after each of equal steps, γ = t."""
    return [(index / steps, (index + 1) / steps) for index in range(steps)]


def looped(steps: int, on: float = 0.55, off: float = 0.05, top: float = 0.9) -> list[tuple[float, float]]:
    """As `alphas`, along the three lines of the loop."""

    def alpha(t: float) -> float:
        if t > on:
            return (1 - t) * top / (1 - on)
        return top if t >= off else 1 - t * (1 - top) / off

    return [(alpha(1 - index / steps), alpha(1 - (index + 1) / steps)) for index in range(steps)]


def remdm(path: list[tuple[float, float]], sigma: Any) -> Tensor:
    """The law of the paper's posterior along α, with σ a function of the step and of the most it may be."""
    kernels = []
    for index, (a_t, a_s) in enumerate(path):
        s = sigma(index, min(1, (1 - a_s) / a_t)) if a_t else 0.0
        kernels.append(((a_s - (1 - s) * a_t) / (1 - a_t), s))
    return chain(JOINT, 0, kernels)


def plain(steps: int) -> Tensor:
    return remdm(alphas(steps), lambda index, most: 0.0)


UNMOVED = [Ancestral(), Cap(eta=0.0), Rescale(eta=0.0), Euler()]


@pytest.mark.parametrize("sampler", UNMOVED)
def test_ancestral_in_two_steps_is_the_law_of_its_chain(sampler: Any) -> None:
    tokens = finished(sampler, 2)
    assert is_of(tokens, plain(2))
    assert JOINT.excess(tokens, 0) > 6


def test_without_masking_again_they_are_the_very_same_images() -> None:
    for steps in (2, 5, 12):
        first, *others = (finished(sampler, steps) for sampler in UNMOVED)
        assert all(torch.equal(first, other) for other in others)
    tokens = finished(Loop(eta=0.0), 20)
    assert is_of(tokens, remdm(looped(20), lambda index, most: 0.0))


@pytest.mark.parametrize(
    ("sampler", "path", "sigma"),
    [
        (Cap(eta=0.3), alphas, lambda index, most: min(0.3, most)),
        (Cap(eta=1.0), alphas, lambda index, most: most),
        (Rescale(eta=0.5), alphas, lambda index, most: 0.5 * most),
        (Loop(eta=0.1), looped, lambda index, most: min(0.1, most) if 9 <= index <= 18 else 0.0),
    ],
)
def test_masking_again_is_the_law_of_the_posterior(sampler: Any, path: Any, sigma: Any) -> None:
    tokens, law = finished(sampler, 20), remdm(path(20), sigma)
    assert is_of(tokens, law)
    assert not is_of(tokens, remdm(path(20), lambda index, most: 0.0))


def test_the_corrector_in_few_steps_is_the_law_of_its_rates() -> None:
    """Rates (1 + c)·κ′/(1 − κ) and c·κ′/κ, summed over each step by a rule of a hundred thousand points."""
    c, kernels = 2.0, []
    for low, high in alphas(4):
        kappa = torch.linspace(low, high, 100_001, dtype=torch.float64)
        middle = (kappa[1:] + kappa[:-1]) / 2
        width, last = (high - low) / len(middle), high == 1
        reveal = 1.0 if last else 1 - math.exp(-float(((1 + c) / (1 - middle)).sum()) * width)
        again = 0.0 if last or not low else 1 - math.exp(-float((c / middle).sum()) * width)
        kernels.append((reveal, again))
    law, tokens = chain(JOINT, 0, kernels), finished(Euler(corrector=c), 4)
    assert is_of(tokens, law)
    assert not is_of(tokens, plain(4))


def far(law: Tensor) -> float:
    """The total variation between a law and the joint law."""
    return float((law - JOINT.of(0)).abs().sum()) / 2


MANY = (16, 64, 256, 1024)


@pytest.mark.parametrize("rate", [0.0, 4.0])
def test_in_many_steps_what_masks_again_more_rarely_in_each_shares_the_joint_law(rate: float) -> None:
    paths = [(alphas(steps), rate / steps) for steps in MANY]
    distances = [far(remdm(path, lambda index, most, s=sigma: min(s, most))) for path, sigma in paths]
    assert all(later < earlier / 2.5 for earlier, later in pairwise(distances))
    assert distances[-1] < 0.002


def test_a_loop_that_masks_as_many_again_in_each_of_more_steps_stays_away_from_it() -> None:
    """Tokens that are masked again together are drawn again without seeing each other."""
    for steps in MANY[1:]:
        fixed, rarer = (
            far(remdm(looped(steps), lambda index, most, s=sigma: min(s, most))) for sigma in (0.1, 2 / steps)
        )
        assert fixed > 0.005
        assert rarer < 2 / steps


@pytest.mark.parametrize("sampler", [Ancestral(), Cap(eta=0.3), Rescale(eta=0.5), Loop(eta=0.1)])
def test_the_share_that_is_masked_follows_the_schedule_however_much_is_masked_again(sampler: Any) -> None:
    for step, state in zip(plan_of(sampler, 12), states(sampler, 12), strict=True):
        share = step.share_then
        error = math.sqrt(share * (1 - share) / state.mask.numel())
        assert abs(float(state.mask.double().mean()) - share) <= 4.5 * error


def test_the_corrector_keeps_the_share_in_small_steps() -> None:
    sampler, steps = Euler(corrector=2.0), 100
    plan, seen = plan_of(sampler, steps), states(sampler, steps, count=4000)
    for index in (25, 50, 75):
        assert float(seen[index].mask.double().mean()) == pytest.approx(plan[index].share_then, abs=0.025)


def test_one_token_and_then_two_is_the_law_of_that() -> None:
    """One of three tokens at random, then the other two given it."""
    outcomes, hidden = JOINT.outcomes, torch.ones(27, 3, dtype=torch.bool)
    labels = torch.zeros(27, dtype=torch.int64)

    def log_p(mask: Tensor) -> Tensor:
        return JOINT.conditional(outcomes, mask, labels).gather(-1, outcomes[..., None]).squeeze(-1)

    law = torch.zeros(27, dtype=torch.float64)
    for first in range(3):
        others = hidden.clone()
        others[:, first] = False
        law += (log_p(hidden)[:, first] + log_p(others)[others].reshape(27, 2).sum(1)).exp() / 3
    assert [step.reveal for step in plan_of(FirstHitting(), 2)] == [1, 2]
    assert is_of(finished(FirstHitting(), 2), law)
    assert not is_of(finished(FirstHitting(), 2), plain(2))


class Trained:
    """A small transformer, trained on images of the joint law as any other is."""

    def __init__(self, steps: int = 700, batch: int = 256) -> None:
        self.parts = toy_parts(JOINT, network=Transformer(width=32, depth=2, heads=2, dropout=0.0), head=Categorical())
        torch.manual_seed(0)
        self.model = Masked().build(self.parts, JOINT.space, JOINT.classes)
        optimizer = torch.optim.Adam(self.model.parameters(), lr=3e-3)
        rates = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
        generator = Generator().manual_seed(0)
        laws = torch.stack([JOINT.of(label) for label in range(JOINT.classes)])
        for _ in range(steps):
            labels = torch.randint(JOINT.classes, (batch,), generator=generator)
            tokens = JOINT.outcomes[torch.multinomial(laws[labels], 1, generator=generator).squeeze(1)]
            loss = Masked(label_drop=0.0).loss(self.model, self.parts, tokens, labels, generator)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rates.step()

    @torch.no_grad()
    def nats(self, label: int) -> float:
        """−log p an image, one token at a time, in the mean over all orders: the entropy of the law, and more for what was
        not learned.
        """
        outcomes, total = JOINT.outcomes, 0.0
        labels = torch.full((len(outcomes),), label)
        for order in itertools.permutations(range(3)):
            mask = torch.ones(len(outcomes), 3, dtype=torch.bool)
            for token in order:
                logits = self.model.head(self.model.network(outcomes, mask, labels)[:, token])
                chosen = torch.log_softmax(logits.double(), -1).gather(1, outcomes[:, token : token + 1])
                total -= float(JOINT.of(label) @ chosen.squeeze(1))
                mask[:, token] = False
        return total / 6


@pytest.mark.slow
def test_a_small_transformer_reaches_the_entropy_of_the_law() -> None:
    trained = Trained()
    for label in range(JOINT.classes):
        law = JOINT.of(label)
        entropy = -float(law @ law.log())
        independent = -float(law @ JOINT.product(label).log())
        assert independent - entropy > 0.1
        assert entropy < trained.nats(label) < entropy + 0.02
