from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from mgbench.components.heads.flow import Flow, FlowMLP
from mgbench.components.heads.solvers import DPMSolver, Euler, Heun
from mgbench.errors import Unfit
from mgbench.interfaces.components import Parts, Predict
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.testing.checks import stirred

VECTORS, CODES = TokenSpace(6, 2), TokenSpace(6, 2, codes=5)


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def head(**options: Any) -> FlowMLP:
    torch.manual_seed(0)
    return Flow(width=32, depth=1, **options).build(VECTORS, 3)


class Knowing(FlowMLP):
    """A head that is told what it should have predicted, and notes what it was shown."""

    answer: Tensor
    shown: Tensor

    def forward(self, x: Tensor, t: Tensor, z: Tensor) -> tuple[Tensor, None]:
        self.shown = x
        return self.answer, None


def test_the_target_is_the_velocity_of_the_straight_line() -> None:
    values, noise = torch.randn(5, 2, generator=seeded()), torch.randn(5, 2, generator=seeded(1))
    t = torch.tensor([0.0, 0.2, 0.5, 0.9, 1.0])
    knowing = Knowing(Flow(width=8), 2, 3)
    knowing.answer = noise - values
    (exact,) = knowing.loss_terms(torch.zeros(5, 3), values, t, noise)
    assert torch.equal(exact, torch.zeros(5))
    torch.testing.assert_close(knowing.shown[[0, 4]], torch.stack([values[0], noise[4]]))
    torch.testing.assert_close(knowing.shown[1], 0.8 * values[1] + 0.2 * noise[1])
    knowing.answer = noise - values + torch.tensor([3.0, 1.0])
    torch.testing.assert_close(knowing.loss_terms(torch.zeros(5, 3), values, t, noise)[0], torch.full((5,), 5.0))


def test_times_between_0_and_1_are_embedded_like_those_of_a_table() -> None:
    module = stirred(head())
    x, z, t = torch.randn(4, 2, generator=seeded()), torch.randn(4, 3, generator=seeded()), torch.rand(4)
    velocity, _ = module(x, t, z)
    assert torch.equal(velocity, module.numbers(x, module.embedded(1000 * t, torch.float32), z))


def test_the_times_that_are_trained() -> None:
    evenly = head().draw_times(20_000, seeded())
    middling = head(times="logit_normal").draw_times(20_000, seeded())
    for times in (evenly, middling):
        assert (times > 0).all()
        assert (times < 1).all()
        assert times.median().item() == pytest.approx(0.5, abs=0.02)
    # |u| < log 3 puts the logistic function into (1/4, 3/4); a standard normal number lies there with probability 0.728.
    assert ((evenly - 0.5).abs() < 0.25).double().mean().item() == pytest.approx(0.5, abs=0.02)
    assert ((middling - 0.5).abs() < 0.25).double().mean().item() == pytest.approx(0.728, abs=0.02)


class Once:
    """A solver that evaluates once, at noise of ones and half-way."""

    path = "velocity"
    steps = 1

    def solve(self, predict: Predict, betas: Tensor, dim: int, rng: Streams) -> Tensor:
        assert len(betas) == 0
        return predict(torch.ones(len(rng.keys), dim), 0.5)[0]


@pytest.mark.parametrize("scale", [0.0, 1.0, 3.0])
def test_guidance_moves_the_velocity(scale: float) -> None:
    module, parts = stirred(head()), Parts(solver=Once())
    z, without = torch.randn(4, 3, generator=seeded()), torch.randn(4, 3, generator=seeded(1))
    rng = Streams.root(0, "rows").fold(torch.arange(4))
    c, u = (module.sample(one, None, 1.0, rng, parts).values for one in (z, without))
    guided = module.sample(z, without, scale, rng, parts).values
    torch.testing.assert_close(guided, u + scale * (c - u))


def test_a_trained_head_draws_from_the_law_of_its_data() -> None:
    """Values N(±1, 0.3²), the sign told by z."""
    module, generator = head(noise_samples=2), seeded()
    optimiser = torch.optim.Adam(module.parameters(), 5e-3)
    sign = torch.tensor([-1.0, 1.0]).repeat(64)
    z = sign[:, None].expand(-1, 3)
    for _ in range(200):
        values = sign[:, None] + 0.3 * torch.randn(128, 2, generator=generator)
        optimiser.zero_grad()
        module.loss(z, values, generator).mean().backward()
        optimiser.step()
    rng = Streams.root(0, "rows").fold(torch.arange(128))
    with torch.no_grad():
        values = module.sample(z, None, 1.0, rng, Parts(solver=Heun(steps=8))).values
    for one in (-1.0, 1.0):
        torch.testing.assert_close(values[sign == one].mean(0), torch.full((2,), one), atol=0.15, rtol=0)
        torch.testing.assert_close(values[sign == one].std(0), torch.full((2,), 0.3), atol=0.12, rtol=0)


def test_what_it_does_not_fit() -> None:
    Flow().check(Parts(solver=Euler()), VECTORS)
    with pytest.raises(Unfit, match="makes codes"):
        Flow().check(Parts(solver=Euler()), CODES)
    with pytest.raises(Unfit, match="take a solver such as heun"):
        Flow().check(Parts(solver=DPMSolver()), VECTORS)
