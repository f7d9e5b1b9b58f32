"""The flow head: a small flow from noise to one token, given z, by flow matching on straight lines.

x_t = (1 − t) x_0 + t ε, and the learned velocity is E[ε − x_0 | x_t] (rectified flow, Liu et al., arXiv:2209.03003;
flow matching, Lipman et al., arXiv:2210.02747; with t = 1 noise, as in Esser et al., arXiv:2403.03206).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor

from mgbench.components.heads.mlp import Known, TokenMLP
from mgbench.components.heads.solvers import check_path
from mgbench.errors import Unfit
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.recipes.spec import Count

# Factor from times in [0, 1] to the scale of the time embedding.
TIME_SCALE = 1000


class FlowMLP(TokenMLP):
    """Predicts the velocity [R,D] of noisy tokens x [R,D] at times t [R] in [0, 1], given z [R,W]."""

    def __init__(self, options: "Flow", dim: int, condition: int) -> None:
        super().__init__(dim, dim, condition, options.width, options.depth, options.noise_samples)
        self.options = options
        self.register_buffer("betas", torch.empty(0, dtype=torch.float64), persistent=False)

    def forward(self, x: Tensor, t: Tensor, z: Tensor, known: Known | None = None) -> tuple[Tensor, None]:
        return self.numbers(x, self.embedded(TIME_SCALE * t, x.dtype), z, known), None

    def draw_times(self, rows: int, generator: Generator) -> Tensor:
        if self.options.times == "logit_normal":
            return torch.randn(rows, generator=generator, device=generator.device).sigmoid()
        return torch.rand(rows, generator=generator, device=generator.device)

    def loss_terms(self, z: Tensor, values: Tensor, t: Tensor, noise: Tensor) -> tuple[Tensor]:
        """Squared velocity error [R] of values [R,D] at times [R] with noise [R,D]."""
        share = t[:, None]
        velocity, _ = self((1 - share) * values + share * noise, t, z)
        return ((noise - values - velocity.float()).square().mean(-1),)


@dataclass(frozen=True)
class Flow:
    """Flow matching with velocity prediction (arXiv:2210.02747); each token is used with `noise_samples` times per
    training step.

    Training `times` are uniform in [0, 1], or logit-normal, which samples the middle more often (arXiv:2403.03206, Eq.
    19).
    """

    width: Count = 64
    depth: Count = 3
    noise_samples: Count = 4
    times: Literal["uniform", "logit_normal"] = "uniform"
    asks: ClassVar[tuple[str, ...]] = ("solver",)
    solver: ClassVar[str] = "heun"
    former_options: ClassVar[Mapping[str, str]] = {"repeats": "noise_samples"}

    def check(self, parts: Parts, space: TokenSpace) -> None:
        if space.codes:
            raise Unfit(
                "the flow head draws vectors, and this tokenizer makes codes; take head=categorical or tokenizer=patch"
            )
        check_path(parts, "velocity")

    def build(self, space: TokenSpace, width: int) -> FlowMLP:
        return FlowMLP(self, space.dim, width)


@hookimpl
def mgbench_heads() -> dict[str, type]:
    return {"flow": Flow}
