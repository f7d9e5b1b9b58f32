"""What value does a masked token take? A small diffusion model of one token, given z (MAR, arXiv:2406.11838, §3)."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from mgbench.components.noise import (
    STEPS,
    Table,
    binned_log_likelihood,
    cosine_betas,
    gaussian_kl,
    learned_log_variance,
)
from mgbench.components.solvers import check_path
from mgbench.errors import Unfit
from mgbench.hookspecs import hookimpl
from mgbench.kinds import Parts, TokenSpace
from mgbench.spec import Count
from mgbench.steps import Drawn
from mgbench.streams import Streams

FREQUENCIES = 128
EPS = 1e-6


def _time_features(t: Tensor) -> Tensor:
    rates = torch.exp(-math.log(10000) / FREQUENCIES * torch.arange(FREQUENCIES, device=t.device, dtype=torch.float32))
    angles = t[:, None].float() * rates
    return torch.cat([angles.cos(), angles.sin()], -1)


class ResidualBlock(nn.Module):
    """An MLP whose normalisation and strength the condition sets (adaptive layer norm, DiT, arXiv:2212.09748)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=EPS)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.modulation = nn.Linear(width, 3 * width)

    def forward(self, h: Tensor, condition: Tensor) -> Tensor:
        shift, scale, gate = self.modulation(condition).chunk(3, -1)
        out: Tensor = h + gate * self.mlp(self.norm(h) * (1 + scale) + shift)
        return out


class DiffusionMLP(nn.Module):
    """Noise prediction and variance value of noisy tokens x [R,D] at times t [R] (or [1], one for all), given z [R,W]."""

    betas: Tensor

    def __init__(self, dim: int, condition: int, width: int, depth: int, repeats: int) -> None:
        super().__init__()
        self.dim, self.repeats = dim, repeats
        self.time = nn.Sequential(nn.Linear(2 * FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
        self.condition = nn.Linear(condition, width)
        self.entry = nn.Linear(dim, width)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(depth))
        self.exit_norm = nn.LayerNorm(width, eps=EPS, elementwise_affine=False)
        self.exit_modulation = nn.Linear(width, 2 * width)
        self.exit = nn.Linear(width, 2 * dim)
        self.register_buffer("betas", cosine_betas(), persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)
        # Every block starts as the identity and the whole as zero.
        gates = [block.modulation for block in self.blocks if isinstance(block, ResidualBlock)]
        for closed in (*gates, self.exit_modulation, self.exit):
            nn.init.zeros_(closed.weight)

    def forward(self, x: Tensor, t: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        y = nn.functional.silu(self._embed(t, x.dtype) + self.condition(z))
        h = self.entry(x)
        for block in self.blocks:
            h = block(h, y)
        shift, scale = self.exit_modulation(y).chunk(2, -1)
        out: Tensor = self.exit(self.exit_norm(h) * (1 + scale) + shift)
        return out[:, : self.dim], out[:, self.dim :]

    def _embed(self, t: Tensor, dtype: torch.dtype) -> Tensor:
        if t.dtype == torch.int64 and len(t) > STEPS:
            # More rows than there are times: embed every time once.
            every = torch.arange(STEPS, device=t.device)
            table: Tensor = self.time(_time_features(every).to(dtype))
            return table[t]
        embedded: Tensor = self.time(_time_features(t).to(dtype))
        return embedded

    def loss(self, z: Tensor, values: Tensor, generator: Generator) -> Tensor:
        """Loss [R]: noise error plus the variational bound in bits, averaged over `repeats` noisy copies of each row."""
        z, values = z.repeat(self.repeats, 1), values.repeat(self.repeats, 1)
        t = torch.randint(STEPS, (len(z),), generator=generator, device=z.device)
        noise = torch.randn(values.shape, generator=generator, device=z.device)
        error, bound = self.loss_terms(z, values, t, noise)
        return (error + bound).reshape(self.repeats, -1).mean(0)

    def loss_terms(self, z: Tensor, values: Tensor, t: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Squared noise error [R] and bound [R] at given times int64 [R] and noise [R,D]; the bound trains only the variance."""
        table = Table(self.betas)
        # Roots before rounding: in float32, 1 − ᾱ of the first times is off by a thousandth.
        of_start, of_noise = (share.sqrt().float()[t, None] for share in (table.kept, 1 - table.kept))
        x_t = of_start * values + of_noise * noise
        eps, value = self(x_t, t, z)
        eps, value = eps.float(), value.float()
        error = (noise - eps).square().mean(-1)
        return error, self._bound(table, values, x_t, t, eps.detach(), value)

    def _bound(self, table: Table, x_0: Tensor, x_t: Tensor, t: Tensor, eps: Tensor, value: Tensor) -> Tensor:
        of_start, of_now = (weight.float()[t, None] for weight in table.posterior_weights)
        kept = table.kept
        guess = (1 / kept).sqrt().float()[t, None] * x_t - (1 / kept - 1).sqrt().float()[t, None] * eps
        true_mean, mean = of_start * x_0 + of_now * x_t, of_start * guess + of_now * x_t
        low, high = table.posterior_log_variance.float()[t, None], table.betas.log().float()[t, None]
        log_variance = learned_log_variance(value, low, high)
        kl = gaussian_kl(true_mean, low, mean, log_variance)
        first = -binned_log_likelihood(x_0, mean, 0.5 * log_variance)
        return torch.where(t[:, None] == 0, first, kl).mean(-1) / math.log(2)

    def sample(
        self,
        z: Tensor,
        z_uncond: Tensor | None,
        scale: float,
        draws: Streams,
        parts: Parts,
        temperature: float = 1.0,
    ) -> Drawn:
        """Values [R,D] by the solver; continuous values have no probability to rank by, and no temperature but the solver's."""

        def at(time: float) -> Tensor:
            return torch.tensor([time], device=z.device)

        def denoise(x: Tensor, time: float) -> tuple[Tensor, Tensor]:
            if z_uncond is None:
                eps, value = self(x, at(time), z)
                return eps, value
            eps, value = self(torch.cat([x, x]), at(time), torch.cat([z, z_uncond]))
            with_label, without = eps.chunk(2)
            return without + scale * (with_label - without), value.chunk(2)[0]

        return Drawn(parts.solver.solve(denoise, self.betas, self.dim, draws))


@dataclass(frozen=True)
class Diffusion:
    """DDPM with 1,000 cosine steps, noise prediction and learned variance; each token is trained `repeats` times a step."""

    width: Count = 64
    depth: Count = 3
    repeats: Count = 4
    asks: ClassVar[tuple[str, ...]] = ("solver",)
    solver: ClassVar[str] = "dpmpp_multistep"

    def check(self, parts: Parts, space: TokenSpace) -> None:
        if space.codes:
            raise Unfit(
                "the diffusion head draws vectors, and this tokenizer makes codes; take head=categorical or tokenizer=patch"
            )
        check_path(parts, "noise")

    def build(self, space: TokenSpace, width: int) -> DiffusionMLP:
        return DiffusionMLP(space.dim, width, self.width, self.depth, self.repeats)


@hookimpl
def mgbench_heads() -> dict[str, type]:
    return {"diffusion": Diffusion}
