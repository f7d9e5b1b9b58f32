from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from mgbench.components.processes.masked import Masked
from mgbench.components.schedules.loss_weightings import Elbo, LambdaDCE, ReweightedElbo, Uniform
from mgbench.components.schedules.mask_schedules import Cosine
from mgbench.components.schedules.maskings import Bernoulli, Exact, draw_positions
from mgbench.interfaces.components import MaskSchedule
from mgbench.testing.toys import Joint, Line, toy_parts
from tests.laws.registered import built, every

T = torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64)
MASK = torch.tensor([[True, False, False, False], [True, True, False, False], [True, True, True, True]])


@pytest.mark.parametrize(
    ("per", "divisor"), [("counted", int(MASK.sum())), ("token", MASK.numel()), ("image", len(MASK))]
)
def test_the_sum_is_divided_by_what_is_asked_for(per: Any, divisor: int) -> None:
    torch.testing.assert_close(Uniform(per=per)(Line(), T, MASK), MASK.double() / divisor)


def test_visible_tokens_count_as_much_as_is_asked_for() -> None:
    weights = Uniform(visible=0.1, per="image")(Line(), T, MASK)
    torch.testing.assert_close(weights, torch.where(MASK, 1.0, 0.1).double() / 3)


def test_a_batch_in_which_nothing_counts_weighs_nothing() -> None:
    assert (Uniform()(Line(), T, MASK & False) == 0).all()


def weights_of_images(weighting: Any, schedule: MaskSchedule) -> Tensor:
    return weighting(schedule, T, MASK).amax(1)  # type: ignore[no-any-return]


def test_lambda_dce_divides_by_the_share_that_is_masked() -> None:
    torch.testing.assert_close(weights_of_images(LambdaDCE(per="image"), Cosine()), 4 / (3 * MASK.sum(1).double()))
    expected = LambdaDCE(share="expected", per="image")
    torch.testing.assert_close(weights_of_images(expected, Cosine()), 1 / (3 * Cosine()(T)))
    torch.testing.assert_close(weights_of_images(expected, Line()), weights_of_images(Elbo(per="image"), Line()))


def test_the_reweighted_bound_plays_noisy_times_down() -> None:
    torch.testing.assert_close(weights_of_images(ReweightedElbo(per="image"), Line()), (1 - T) / 3)


JOINT = Joint.example(classes=1, length=4, codes=3)


def entropy(joint: Joint) -> float:
    """In nats per token."""
    law = joint.of(0)
    return float(-(law * law.log()).sum()) / joint.space.length


def loss_of_the_true_model(images: int = 60_000, **parts: Any) -> float:
    """The loss over so many images, for a model that knows the law they were drawn from."""
    generator = Generator().manual_seed(0)
    drawn = torch.multinomial(JOINT.of(0), images, replacement=True, generator=generator)
    asked = toy_parts(JOINT, **parts)
    model = Masked().build(asked, JOINT.space, 1)
    labels = torch.zeros(images, dtype=torch.int64)
    with torch.no_grad():
        return float(Masked(label_drop=0).loss(model, asked, JOINT.outcomes[drawn], labels, generator))


@every("mask_schedule")
def test_the_bound_of_the_true_model_is_the_entropy_whatever_the_schedule(name: str) -> None:
    """What is masked at times below `t_floor` is the only part left out, and a schedule may have masked a few tokens by then.

    Where γ(1) is below 1 the first part of the bound, log K per token never masked, is left out too.
    """
    schedule = built("mask_schedule", name)
    loss = loss_of_the_true_model(
        mask_schedule=schedule,
        masking=Bernoulli(at_least=0, draws="antithetic"),
        loss_weighting=Elbo(per="token", t_floor=1e-5),
    )
    assert loss == pytest.approx(entropy(JOINT), rel=0.03)


def test_the_added_tokens_of_the_usual_masking_would_spoil_it() -> None:
    loss = loss_of_the_true_model(masking=Bernoulli(draws="antithetic"), loss_weighting=Elbo(per="token"))
    assert loss > 1.2 * entropy(JOINT)


class UniformCounts:
    """k uniform in 1 … N."""

    def draw(self, schedule: MaskSchedule, batch: int, tokens: int, generator: Generator) -> tuple[Tensor, Tensor]:
        counts = 1 + torch.arange(batch) % tokens
        return draw_positions(counts, tokens, generator), counts / tokens


def test_with_exact_counts_the_counted_share_gives_the_entropy() -> None:
    parts = {"loss_weighting": LambdaDCE(per="token")}
    assert loss_of_the_true_model(masking=UniformCounts(), **parts) == pytest.approx(entropy(JOINT), rel=0.02)
    assert loss_of_the_true_model(masking=Exact(), **parts) == pytest.approx(entropy(JOINT), rel=0.02)


def test_the_expected_share_gives_it_where_the_schedule_is_a_line() -> None:
    masking = Bernoulli(at_least=0, draws="antithetic")
    weighting = LambdaDCE(share="expected", per="token", t_floor=1e-5)
    assert loss_of_the_true_model(masking=masking, loss_weighting=weighting) == pytest.approx(entropy(JOINT), rel=0.03)
