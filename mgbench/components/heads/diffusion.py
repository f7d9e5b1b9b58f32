"""The diffusion head: a small diffusion model of one token, given z (MAR, arXiv:2406.11838, §3)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from mgbench.components.heads.mlp import FREQUENCIES, Known, TokenMLP
from mgbench.components.heads.noise_schedule import (
    STEPS,
    Table,
    binned_log_likelihood,
    cosine_betas,
    once,
    posterior_kl,
    table_of,
)
from mgbench.components.heads.solvers import check_path
from mgbench.components.networks.blocks import time_features
from mgbench.components.networks.dropout import of_cpu
from mgbench.errors import Unfit
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.recipes.spec import Count


class DiffusionMLP(TokenMLP):
    """Predicts noise and a variance value for noisy tokens x [R,D] at times t [R] (or [1], for all), given z [R,W]."""

    features: Tensor

    def __init__(self, dim: int, condition: int, width: int, depth: int, noise_samples: int) -> None:
        super().__init__(dim, 2 * dim, condition, width, depth, noise_samples)
        self.register_buffer("betas", cosine_betas(), persistent=False)
        self.register_buffer("features", time_features(torch.arange(STEPS), FREQUENCIES), persistent=False)

    def forward(self, x: Tensor, t: Tensor, z: Tensor, known: Known | None = None) -> tuple[Tensor, Tensor]:
        out = self.numbers(x, self.embedded(t, x.dtype), z, known)
        return out[:, : self.dim], out[:, self.dim :]

    def embedded(self, t: Tensor, dtype: torch.dtype) -> Tensor:
        if t.dtype == torch.int64 and len(t) > STEPS:
            # With more rows than times, each time is embedded once.
            of_all: Tensor = self.time(self.features.to(dtype))
            return of_all.index_select(0, t)
        return super().embedded(t, dtype)

    def draw_times(self, rows: int, generator: Generator) -> Tensor:
        return torch.randint(STEPS, (rows,), generator=generator, device=generator.device)

    def loss_terms(self, z: Tensor, values: Tensor, t: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Squared noise error [R] and bound [R] in bits at times int64 [R] with noise [R,D]; the bound trains only the
        variance.
        """
        coef_x0, coef_noise, weight, span = self._weights().index_select(0, t)[..., None].unbind(1)
        eps, value = self(coef_x0 * values + coef_noise * noise, t, z)
        off = noise - eps.float()
        error = off.square()
        gap = span * (value.float() + 1) / 2
        bound = posterior_kl(error.detach(), weight, gap)
        return error.mean(-1), self._with_first(bound, t, values, off.detach(), gap).mean(-1) / math.log(2)

    def _weights(self) -> Tensor:
        """Weights of the loss at each time, float32 [T,4]: the weights of x_0 and of the noise in x_t, the weight of the
        squared error in the bound, and the log of the ratio of the largest to the smallest variance.
        """
        return once(self.betas, "training", lambda: _weights_of(table_of(self.betas)))

    def _with_first(self, bound: Tensor, t: Tensor, x_0: Tensor, off: Tensor, gap: Tensor) -> Tensor:
        """The bound [R,D] in nats with −log p(x_0 | x_t) in rows of the first time."""
        is_first = t == 0
        if not of_cpu(t):
            return torch.where(is_first[:, None], self._first(x_0, off, gap), bound)
        # Such rows are few, but elsewhere than on a CPU, finding them would be waited for.
        rows = is_first.nonzero().squeeze(1)
        return bound.index_copy(0, rows, self._first(*(each.index_select(0, rows) for each in (x_0, off, gap))))

    def _first(self, x_0: Tensor, off: Tensor, gap: Tensor) -> Tensor:
        """−log p(x_0 | x_t) [R,D] in nats at the first time, of a predicted noise that is `off`."""
        share, log_variance = once(self.betas, "first", lambda: _first_of(table_of(self.betas)))
        return -binned_log_likelihood(x_0, x_0 + share * off, 0.5 * (log_variance + gap))


def _first_of(table: Table) -> tuple[Tensor, Tensor]:
    """Of the first time, float32: √(1/ᾱ − 1), and the log of the smallest variance."""
    return (1 / table.alpha_bar[0] - 1).sqrt().float(), table.posterior_log_variance[0].float()


def _weights_of(table: Table) -> Tensor:
    low, ratio = table.posterior_log_variance, 1 / table.alpha_bar - 1
    weight = table.posterior_weights[0].square() * ratio * (-low).exp()
    # Square roots before rounding: in float32, 1 − ᾱ of the first times is off by a thousandth.
    shares = table.alpha_bar.sqrt(), (1 - table.alpha_bar).sqrt()
    return torch.stack([*shares, weight, table.betas.log() - low], 1).float()


@dataclass(frozen=True)
class Diffusion:
    """DDPM of one token given z (MAR, arXiv:2406.11838, §3), with 1,000 cosine steps, noise prediction and learned variance
    (arXiv:2102.09672); each token is used with `noise_samples` noise levels per training step.
    """

    width: Count = 64
    depth: Count = 3
    noise_samples: Count = 4
    asks: ClassVar[tuple[str, ...]] = ("solver",)
    solver: ClassVar[str] = "dpmpp_multistep"
    former_options: ClassVar[Mapping[str, str]] = {"repeats": "noise_samples"}

    def check(self, parts: Parts, space: TokenSpace) -> None:
        if space.codes:
            raise Unfit(
                "the diffusion head draws vectors, and this tokenizer makes codes; take head=categorical or tokenizer=patch"
            )
        check_path(parts, "noise")

    def build(self, space: TokenSpace, width: int) -> DiffusionMLP:
        return DiffusionMLP(space.dim, width, self.width, self.depth, self.noise_samples)


@hookimpl
def mgbench_heads() -> dict[str, type]:
    return {"diffusion": Diffusion}
