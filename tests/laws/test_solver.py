from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from mgbench import testing
from mgbench.components.heads.solvers import DDPM, Euler
from mgbench.interfaces.components import Predict
from mgbench.interfaces.randomness import Streams
from tests.laws.registered import built, every


class Broken:
    path = "noise"

    def __init__(self, law: str) -> None:
        self.law = law
        self.steps = 49 if law == "as it promises" else 50

    def solve(self, denoise: Any, betas: Tensor, dim: int, rng: Streams) -> Tensor:
        if self.law == "same streams":
            rng = rng.fold(torch.randint(1000, ()))
        if self.law == "depend on its batch":
            rng = Streams.root(0, "all").fold(torch.arange(len(rng.keys)).flip(0))
        temperature = 0.8 if self.law == "standard deviation" else 1.0
        if self.law == "times that the table has":
            denoise(rng.normal(dim), -1.0)
            self.steps = 51
        types = []

        def noted(x: Tensor, time: float) -> Any:
            types.append((found := denoise(x, time))[0].dtype)
            return found

        values = DDPM(steps=50, temperature=temperature).solve(noted, betas, dim, rng)
        if self.law == "have 16 bits":
            return values.to(types[-1])
        return {"finite": values / 0, "R,D": values[:, :1], "the mean": values + 0.15}.get(self.law, values)


@every("solver")
def test_every_solver_keeps_the_laws(name: str) -> None:
    testing.solver(built("solver", name))


@pytest.mark.parametrize(
    "law",
    [
        "finite",
        "R,D",
        "have 16 bits",
        "as it promises",
        "times that the table has",
        "same streams",
        "depend on its batch",
        "the mean",
        "standard deviation",
    ],
)
def test_a_broken_solver_breaks_its_law(law: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(AssertionError, match=law):
        testing.solver(Broken(law))


@dataclass(frozen=True)
class FirstTime(DDPM):
    """Starts a single step at the first time of the table, where there is no noise to take away."""

    def solve(self, predict: Predict, betas: Tensor, dim: int, rng: Streams) -> Tensor:
        if self.steps > 1:
            return super().solve(predict, betas, dim, rng)
        x = rng.fold(0).normal(dim).float()
        return x - 0 * predict(x, 0.0)[0]


@dataclass(frozen=True)
class Fewer(DDPM):
    """Takes fewer steps than it was asked for, and says nothing."""

    def solve(self, predict: Predict, betas: Tensor, dim: int, rng: Streams) -> Tensor:
        return replace(DDPM(), steps=min(self.steps, 50)).solve(predict, betas, dim, rng)


@pytest.mark.parametrize(
    ("solver", "law"), [(FirstTime(steps=50), "after 1 steps the mean"), (Fewer(steps=50), "as it promises")]
)
def test_a_solver_that_is_wrong_at_the_ends_breaks_a_law(solver: Any, law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        testing.solver(solver)


def test_a_solver_of_another_path_breaks_a_law() -> None:
    class Mistaken(Euler):
        path: Any = "noise"

    with pytest.raises(AssertionError, match="the mean"):
        testing.solver(Mistaken(steps=200))


def test_the_solver_that_is_broken_here_keeps_the_laws_as_it_is() -> None:
    testing.solver(Broken(""))
