"""The recorded sampling run of the published code, step by step: by the process itself, with the stored draws."""

from typing import Any

import pytest
import torch
from mgbench_plugins.emigm import AncestralShared, DPMSolver3S
from torch import Tensor

from mgbench.components.processes.masked import Masked, MaskedModel
from mgbench.components.schedules.guidance_schedules import Constant, Interval
from mgbench.components.schedules.mask_schedules import Exp
from mgbench.components.schedules.time_grids import Uniform
from mgbench.components.tokenizers.patches import join
from mgbench.interfaces.components import Parts
from mgbench.interfaces.sampling import Request, State
from mgbench.testing.toys import AlwaysAsked
from tests.golden.official import SAMPLING, SPACE, Recorded, assert_near, golden, head, network

NAME = "emigm_tiny_trained"
FILE = golden(NAME)
PREDICTED = FILE["trace.mask_to_pred"].bool()
STEPS, IMAGES, TOKENS = PREDICTED.shape


class Counts:
    """The shared streams: in each step, just as many numbers lie below every chance as tokens were revealed."""

    def fold(self, step: int) -> "Counts":
        counts = Counts()
        counts.reveal = int(PREDICTED[step, 0].sum())
        return counts

    reveal = 0

    def uniform(self, count: int) -> Tensor:
        return (torch.arange(count) >= self.reveal).double()


class Images:
    """The images' streams: the order in which each reveals its tokens, and the noise of every step and token."""

    def __init__(self) -> None:
        self.noise = torch.zeros(STEPS, IMAGES, TOKENS, SPACE.dim)
        self.noise[PREDICTED] = FILE["trace.noise"]

    def uniform(self, count: int) -> Tensor:
        assert count == TOKENS
        return PREDICTED.double().argmax(0).double() / STEPS

    def fold(self, number: int) -> "Values":
        assert number == 1
        return Values(self.noise)


class Values:
    """The streams of values: by step, then by image, then by position."""

    def __init__(self, noise: Tensor) -> None:
        self.noise = noise

    def fold(self, step: int) -> "Values":
        return Values(self.noise[step])

    def __getitem__(self, rows: Tensor) -> "Rows":
        return Rows(self.noise[rows])


class Rows:
    """The streams of values of one step, an image for each token that is drawn; `noise` is float [R,N,D]."""

    def __init__(self, noise: Tensor) -> None:
        self.noise = noise

    # Any: the streams of one number each, of which the head takes what Recorded has.
    def fold(self, positions: Tensor) -> Any:
        return Recorded(self.noise[torch.arange(len(positions)), positions][None])


def run(**others: Any) -> tuple[list[State], list[bool]]:
    """The states after every step, and whether the head was guided in it."""
    parts: dict[str, Any] = {
        "sampling_schedule": Exp(5.0),
        "time_grid": Uniform(end=1e-5),
        "sampler": AncestralShared(),
        "guidance_schedule": Interval(0.1, 0.3, Constant(4.0)),
        "solver": DPMSolver3S(8),
        "reuse": AlwaysAsked(),
    }
    model, batches = MaskedModel(network(NAME), head(NAME)), list[int]()
    model.network.register_forward_hook(lambda _, asked, __: batches.append(len(asked[0])))
    counts: Any = Counts()
    images: Any = Images()
    request = Request(FILE["trace.labels"], STEPS, images, counts)
    with torch.no_grad():
        states = list(Masked().sample(model, Parts(**{**parts, **others}), SPACE, request))
    return states, [batch == 2 * IMAGES for batch in batches]


RUN, GUIDED = run()


def test_the_masks_before_every_step() -> None:
    assert len(RUN) == STEPS
    before = torch.stack([torch.ones_like(RUN[0].mask), *[state.mask for state in RUN]])
    assert torch.equal(before[:-1], FILE["trace.mask_before"].bool())
    assert not before[-1].any()


def test_the_steps_that_are_guided() -> None:
    assert torch.tensor(GUIDED).long().tolist() == FILE["trace.guided"].tolist()


@pytest.mark.parametrize("step", range(STEPS))
def test_the_tokens_after_every_step(step: int) -> None:
    assert_near(RUN[step].tokens, FILE["trace.tokens_after"][step], SAMPLING)


def test_the_image() -> None:
    assert_near(join(RUN[-1].tokens, (4, 4, 4), 1), FILE["trace.image"], SAMPLING)


@pytest.mark.parametrize(
    "other",
    [
        {"solver": DPMSolver3S(8, "float64")},
        {"solver": DPMSolver3S(6)},
        {"guidance_schedule": Interval(0.1, 0.3, Constant(3.9))},
        {"guidance_schedule": Interval(0.1, 0.5, Constant(4.0))},
    ],
)
def test_another_choice_would_be_seen(other: dict[str, Any]) -> None:
    states, _ = run(**other)
    with pytest.raises(AssertionError, match="differs by"):
        assert_near(states[-1].tokens, FILE["trace.tokens_after"][-1], SAMPLING)
