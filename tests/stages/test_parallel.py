"""Two processes that hold a model together train as one that goes through the shares of a batch one after the other."""

import io
import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import pytest
import torch

from mgbench.engines.distributed import First, Other
from mgbench.interfaces.ranks import ALONE, Team
from mgbench.recipes.recipe import Recipe
from mgbench.stages.train import REPORT_EVERY, TrainStep
from tests.stages.test_train import LABELS, RECIPE, TOKENS, toy_training

# Everything that draws: masks, dropped labels, dropout; and two averages.
BOTH = RECIPE.change(train_steps=REPORT_EVERY + 5, ema=(0.99, 0.5))
# The bias of the keys changes no attention, so its gradient is rounding, of which AdamW makes steps as large as any.
ATTENTION_BIAS = "qkv.bias"
Trained = tuple[list[TrainStep], dict[float, dict[str, torch.Tensor]], bytes]


def trained(recipe: Recipe, team: Team, saved: bytes = b"") -> Trained:
    """Train to the end, from a saved state if one is given; the steps, the averages, and the state after the first report."""
    with team.group(torch.device("cpu")):
        training = toy_training(recipe, team)
        if saved:
            training.restore(torch.load(io.BytesIO(saved), weights_only=True))
        buffer, run = io.BytesIO(), training.run(TOKENS, LABELS)
        steps = [next(run)]
        torch.save(training.state(), buffer)
        steps += run
        return steps, training.weights(), buffer.getvalue()


@dataclass(frozen=True)
class Share:
    recipe: Recipe
    saved: bytes

    def help(self, helper: Any) -> None:
        trained(self.recipe, helper, self.saved)


def serve(pipe: Connection) -> None:
    torch.set_num_threads(1)
    other = Other(1, 2, pipe)
    other.serve(lambda task: task.help(other))


@pytest.fixture(scope="module")
def first() -> Iterator[First]:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    process.start()
    yield First([here])
    here.close()
    process.join(10)


def together(first: First, recipe: Recipe, saved: bytes = b"") -> Trained:
    with first.running(Share(recipe, saved)):
        return trained(recipe, first, saved)


def close(one: Trained, other: Trained, rtol: float = 1e-4, atol: float = 1e-5) -> None:
    assert [step.loss for step in one[0]] == pytest.approx([step.loss for step in other[0]], rel=rtol)
    assert one[1].keys() == other[1].keys()
    for share, weights in one[1].items():
        assert weights.keys() == other[1][share].keys()
        for name, value in weights.items():
            if not name.endswith(ATTENTION_BIAS):
                torch.testing.assert_close(value, other[1][share][name], rtol=rtol, atol=atol)


@pytest.fixture(scope="module")
def in_turn() -> Trained:
    """One process, two shares of every batch in turn."""
    return trained(BOTH.change(accumulate=2), ALONE)


@pytest.fixture(scope="module")
def ddp(first: First) -> Trained:
    return together(first, BOTH)


@pytest.fixture(scope="module")
def fsdp(first: First) -> Trained:
    return together(first, BOTH.change(parallel="fsdp"))


def test_two_ranks_train_as_one_with_the_shares_of_both(ddp: Trained, in_turn: Trained) -> None:
    close(ddp, in_turn)


def test_ranks_that_share_every_weight_train_as_ranks_with_all_of_them(fsdp: Trained, ddp: Trained) -> None:
    close(fsdp, ddp)


def test_two_ranks_with_two_shares_each_train_as_one_with_four(first: First) -> None:
    four = trained(BOTH.change(accumulate=4), ALONE)
    for parallel in ("ddp", "fsdp"):
        close(together(first, BOTH.change(accumulate=2, parallel=parallel)), four)


def test_shares_have_random_numbers_of_their_own(in_turn: Trained) -> None:
    whole = trained(BOTH, ALONE)
    assert [step.loss for step in whole[0]] != pytest.approx([step.loss for step in in_turn[0]], rel=1e-3)


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_ranks_go_on_exactly(first: First, ddp: Trained, fsdp: Trained, parallel: str) -> None:
    whole = {"ddp": ddp, "fsdp": fsdp}[parallel]
    rest = together(first, BOTH.change(parallel=parallel), whole[2])
    assert [(step.step, step.loss) for step in rest[0]] == [(step.step, step.loss) for step in whole[0][1:]]
    for share, weights in whole[1].items():
        assert all(torch.equal(weights[name], value) for name, value in rest[1][share].items())


def test_ranks_go_on_from_the_state_of_one_that_has_all(first: First, in_turn: Trained) -> None:
    rest = together(first, BOTH.change(parallel="fsdp"), in_turn[2])
    close((rest[0], rest[1], b""), (in_turn[0][1:], in_turn[1], b""))


def test_ranks_in_short_precision_hold_one_model(first: First) -> None:
    """Losses and overflows are those of all ranks, so that they take and leave out the same steps."""
    for precision in ("float16", "bfloat16"):
        ddp, fsdp = (
            together(first, BOTH.change(precision=precision, parallel=parallel)) for parallel in ("ddp", "fsdp")
        )
        close(fsdp, ddp, rtol=2e-2, atol=2e-3)
