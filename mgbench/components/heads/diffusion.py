"""The diffusion head: a small diffusion model of one token, given z (MAR, arXiv:2406.11838, §3)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from mgbench.components.heads.mlp import FREQUENCIES, TokenMLP
from mgbench.components.heads.noise_schedule import (
    STEPS,
    Table,
    binned_log_likelihood,
    cosine_betas,
    gaussian_kl,
    learned_log_variance,
    table_of,
)
from mgbench.components.heads.solvers import check_path
from mgbench.components.networks.blocks import time_features
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

    def forward(self, x: Tensor, t: Tensor, z: Tensor, known: Tensor | None = None) -> tuple[Tensor, Tensor]:
        out = self.numbers(x, self.embedded(t, x.dtype), z, known)
        return out[:, : self.dim], out[:, self.dim :]

    def embedded(self, t: Tensor, dtype: torch.dtype) -> Tensor:
        if t.dtype == torch.int64 and len(t) > STEPS:
            # With more rows than times, each time is embedded once.
            of_all: Tensor = self.time(self.features.to(dtype))
            return of_all[t]
        return super().embedded(t, dtype)

    def draw_times(self, rows: int, generator: Generator) -> Tensor:
        return torch.randint(STEPS, (rows,), generator=generator, device=generator.device)

    def loss_terms(self, z: Tensor, values: Tensor, t: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Squared noise error [R] and bound [R] in bits at times int64 [R] with noise [R,D]; the bound trains only the
        variance.
        """
        table = table_of(self.betas)
        # Square roots before rounding: in float32, 1 − ᾱ of the first times is off by a thousandth.
        coef_x0, coef_noise = (share.sqrt().float()[t, None] for share in (table.alpha_bar, 1 - table.alpha_bar))
        x_t = coef_x0 * values + coef_noise * noise
        eps, value = self(x_t, t, z)
        eps, value = eps.float(), value.float()
        error = (noise - eps).square().mean(-1)
        return error, self._bound(table, values, x_t, t, eps.detach(), value)

    def _bound(self, table: Table, x_0: Tensor, x_t: Tensor, t: Tensor, eps: Tensor, value: Tensor) -> Tensor:
        coef_x0, coef_xt = (weight.float()[t, None] for weight in table.posterior_weights)
        alpha_bar = table.alpha_bar
        guess = (1 / alpha_bar).sqrt().float()[t, None] * x_t - (1 / alpha_bar - 1).sqrt().float()[t, None] * eps
        true_mean, mean = coef_x0 * x_0 + coef_xt * x_t, coef_x0 * guess + coef_xt * x_t
        low, high = table.posterior_log_variance.float()[t, None], table.betas.log().float()[t, None]
        log_variance = learned_log_variance(value, low, high)
        kl = gaussian_kl(true_mean, low, mean, log_variance)
        first = -binned_log_likelihood(x_0, mean, 0.5 * log_variance)
        return torch.where(t[:, None] == 0, first, kl).mean(-1) / math.log(2)


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
