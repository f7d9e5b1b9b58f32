from dataclasses import dataclass
from typing import ClassVar, Literal

import pytest
import torch
from mgbench_plugins.disa import Annealed, mgbench_recipes
from torch import Tensor

from mgbench.components.heads.diffusion import Diffusion
from mgbench.components.heads.solvers import DDIM, DPMSolver, Heun
from mgbench.components.networks.transformers import MAE
from mgbench.components.processes.masked import Masked
from mgbench.errors import UserError
from mgbench.interfaces.components import Predict
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Request, Step
from mgbench.recipes.spec import Spec
from mgbench.registry.resolve import assemble
from mgbench.stages.cost import Meter
from mgbench.testing.noisy_toys import Gaussian
from mgbench.testing.toys import Joint, toy_parts
from tests.laws.registered import registry

RNG = Streams.root(0, "rows").fold(torch.arange(8))
SPACE = TokenSpace(6, 3, grid=(2, 3))


def step(index: int, total: int) -> Step:
    t, s = 1 - index / total, 1 - (index + 1) / total
    return Step(index, total, t, s, t, s)


def test_the_steps_fall_in_a_straight_line() -> None:
    annealed = Annealed(DDIM(steps=50, eta=0.5), last=5)
    assert [annealed.at(step(index, 10)).steps for index in range(10)] == [50, 45, 40, 35, 30, 25, 20, 15, 10, 5]
    assert annealed.at(step(4, 10)) == DDIM(steps=30, eta=0.5)
    assert annealed.at(step(0, 1)) == annealed.of


@pytest.mark.parametrize("of", [DPMSolver(steps=6), Heun(steps=4)])
def test_that_does_not_fall_it_is_the_solver_itself(of: DPMSolver | Heun) -> None:
    annealed = Annealed(of, last=of.steps)
    predict, betas = Gaussian().prediction(of.path)
    plain = of.solve(predict, betas, 2, RNG)
    assert all(torch.equal(annealed.at(step(index, 7)).solve(predict, betas, 2, RNG), plain) for index in range(7))
    assert (annealed.path, annealed.steps) == (of.path, of.steps)


def evaluations(solver: Annealed | DPMSolver, steps: int = 3) -> int:
    """How many rows the head was asked for, for one image whose six tokens are revealed in three steps."""
    parts = toy_parts(Joint.example(), network=MAE(width=16, depth=1), head=Diffusion(width=16, depth=1), solver=solver)
    model, meter = Masked().build(parts, SPACE, 2), Meter()
    request = Request(torch.zeros(1).long(), steps, Streams.root(0, "i").fold(torch.arange(1)), Streams.root(0, "s"))
    with meter.watch(model), torch.no_grad():
        list(Masked().sample(model, parts, SPACE, request))
    return meter.rows["head"]


def test_the_process_tells_the_solver_the_step() -> None:
    """One token, then one, then the four that are left: 8, 5 and 2 evaluations each."""
    assert evaluations(DPMSolver(steps=8)) == 6 * 8
    assert evaluations(Annealed(DPMSolver(steps=8), last=2)) == 8 + 5 + 4 * 2


@dataclass(frozen=True)
class Fixed:
    """A solver whose number of evaluations is none of its options."""

    steps: ClassVar[int] = 10
    path: ClassVar[Literal["noise"]] = "noise"

    def solve(self, predict: Predict, betas: Tensor, dim: int, rng: Streams) -> Tensor:
        return predict(rng.normal(dim).float(), 0.0)[0]


def test_what_it_cannot_anneal_is_refused() -> None:
    with pytest.raises(ValueError, match="no option `steps`"):
        Annealed(Fixed())
    with pytest.raises(UserError, match=r"last \(9\) must be at most the steps of the solver \(8\)"):
        registry().build("solver", Spec.parse("annealed(of=dpmpp_multistep, last=9)"))
    dit = registry().recipes["dit"]["dit"].change(solver="annealed(of=dpmpp_multistep)")
    assert "annealed needs a masked process" in assemble(registry(), dit).unfit


def test_its_recipe_shares_the_model_of_mar() -> None:
    made = assemble(registry(), mgbench_recipes()["disa"])
    assert made.unfit == ""
    assert made.keys.training == assemble(registry(), registry().recipes["mar"]["mar"]).keys.training
