"""The mixture head: the distribution of a token is a mixture of Gaussians (GIVT, arXiv:2312.02116, §3.2)."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from mgbench.components.networks.linear import Linear
from mgbench.errors import Unfit
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Drawn, guided
from mgbench.recipes.spec import Count, Positive


@dataclass(frozen=True)
class Mixture:
    """Σ_k π_k N(μ_k, diag σ_k²) for R rows: log π [R,K], μ [R,K,D] and log σ [R,K,D]."""

    log_weights: Tensor
    means: Tensor
    log_scales: Tensor

    def log_density(self, x: Tensor) -> Tensor:
        """Log density [R] at x [R,D]."""
        standard = (x[:, None] - self.means) * (-self.log_scales).exp()
        each = -0.5 * standard.square() - self.log_scales - 0.5 * math.log(2 * math.pi)
        return torch.logsumexp(self.log_weights + each.sum(-1), -1)

    def pushed(self, without: "Mixture", scale: float) -> "Mixture":
        """Guidance of this mixture c by another one u: log π, μ and log σ become u + scale·(c − u), and π is normalised
        again.

        The result is a mixture, while the guided density p_c^w p_u^(1−w) is not, and may not be normalisable; both
        agree for single components of equal σ. No component becomes broader than in c or u.
        """
        log_scales = guided(self.log_scales, without.log_scales, scale)
        return Mixture(
            torch.log_softmax(guided(self.log_weights, without.log_weights, scale), -1),
            guided(self.means, without.means, scale),
            torch.minimum(log_scales, torch.maximum(self.log_scales, without.log_scales)),
        )

    def draw(self, rng: Streams, temperature: float = 1.0) -> Tensor:
        """Sample values float64 [R,D] from p^(1/T) per component: N(μ, T σ²), chosen in proportion to π^(1/T) Π_d
        σ_d^(1 − 1/T).

        For well separated components this is p^(1/T) of the mixture; at T = 0 it is the mean of the highest peak.
        """
        scores = self.log_weights + (temperature - 1) * self.log_scales.sum(-1)
        scores = scores + temperature * rng.fold(0).gumbel(scores.shape[-1])
        chosen = scores.argmax(-1)[:, None, None].expand(-1, 1, self.means.shape[-1])
        mean, log_scale = (of_all.gather(1, chosen)[:, 0] for of_all in (self.means, self.log_scales))
        return mean + math.sqrt(temperature) * log_scale.exp() * rng.fold(1).normal(mean.shape[-1])


class MixtureModule(nn.Module):
    """A linear map from rows z [R,W] to the parameters of a mixture."""

    def __init__(self, options: "GaussianMixture", dim: int, width: int) -> None:
        super().__init__()
        self.options, self.dim = options, dim
        self.numbers = Linear(width, options.components * (1 + 2 * dim))
        nn.init.normal_(self.numbers.weight, std=0.02)
        # Components must start with different means, or all would learn the same.
        nn.init.normal_(self.numbers.bias, std=0.5)

    def forward(self, z: Tensor) -> Mixture:
        numbers = self.numbers(z).double()
        count = self.options.components
        logits, rest = numbers[:, :count], numbers[:, count:].reshape(len(z), count, 2, self.dim)
        scales = self.options.least_scale + nn.functional.softplus(rest[:, :, 1])
        return Mixture(torch.log_softmax(logits, -1), rest[:, :, 0], scales.log())

    def loss(self, z: Tensor, values: Tensor, generator: Generator) -> Tensor:
        """−log p(x)/D [R] of values [R,D] given z [R,W]: nats per dimension."""
        mixture: Mixture = self(z)
        return -mixture.log_density(values.double()).float() / self.dim

    def sample(
        self,
        z: Tensor,
        z_uncond: Tensor | None,
        scale: float,
        rng: Streams,
        parts: Parts,
        temperature: float = 1.0,
    ) -> Drawn:
        """Sample values [R,D] from the (guided) mixture given z [R,W]; without `log_p`, because densities cannot rank
        tokens.
        """
        mixture: Mixture = self(z)
        if z_uncond is not None:
            mixture = mixture.pushed(self(z_uncond), scale)
        return Drawn(mixture.draw(rng, temperature).float())


@dataclass(frozen=True)
class GaussianMixture:
    """A mixture of `components` diagonal Gaussians, trained by exact likelihood (GIVT, arXiv:2312.02116): a cheap
    baseline.

    No standard deviation is below `least_scale`, because on constant or quantised pixels the likelihood of ever
    narrower components is unbounded. The default measured best on the digits, whose grey levels are 1/8 apart in [−1,
    1].
    """

    components: Count = 8
    least_scale: Positive = 0.1
    asks: ClassVar[tuple[str, ...]] = ()

    def check(self, parts: Parts, space: TokenSpace) -> None:
        if space.codes:
            raise Unfit(
                "the gaussian_mixture head draws vectors, and this tokenizer makes codes; "
                "take head=categorical or tokenizer=patch"
            )

    def build(self, space: TokenSpace, width: int) -> MixtureModule:
        return MixtureModule(self, space.dim, width)


@hookimpl
def mgbench_heads() -> dict[str, type]:
    return {"gaussian_mixture": GaussianMixture}
