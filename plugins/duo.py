"""Duo: uniform-state discrete diffusion (Sahoo et al., arXiv:2506.10892).

Noise replaces tokens by random codes: q(x_t | x_0) = α_t [x_t = x_0] + (1 − α_t)/K, α = 1 − γ. Tokens can change in
every step, so later steps can correct earlier ones. The reverse step needs only x_θ, the distribution of a token's
clean code given the other noisy tokens: p(x_s | x_t) ∝ q(x_t | x_s)·(α_s x_θ + (1 − α_s)/K), which is exact if one
token changes at a time.

The loss is the continuous-time bound on −log p (as in UDLM, Schiff et al., arXiv:2412.10193): with σ = γ′/(1 − γ), and
with a and b the ratios q(j)/q(x_t) and p(j)/p(x_t) of true and modelled probabilities of each code j at t, it is
σ/K·Σ_j (b − a + a·log(a/b)). The curriculum of the paper, with relaxed codes, and its distillation are not implemented.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor, nn

from mgbench.components.networks.blocks import check_heads
from mgbench.components.networks.timed import TimedTransformer
from mgbench.components.samplers.plans import expected
from mgbench.components.schedules.guidance_schedules import advise_label_drop
from mgbench.components.schedules.maskings import draw_levels
from mgbench.errors import Unfit
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.bibtex import by_key
from mgbench.interfaces.components import MaskSchedule, Parts
from mgbench.interfaces.data import UNLABELLED, TokenSpace
from mgbench.interfaces.sampling import Request, State, Step, guided
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.spec import Count, Share

# Lower end of the integral of the bound; the rest is below 0.001 nats per token.
EARLIEST, EARLIEST_TRAINED = 1e-5, 1e-3
# Upper end, just below t = 1, where the integrand is 0/0.
LATEST = 1 - 1e-6


def noised(x_0: Tensor, gamma: Tensor, codes: int, generator: Generator) -> Tensor:
    """x_t int64 [B,N]: each token of x_0 int64 [B,N] is replaced by a random code with probability γ [B]."""
    replaced = torch.rand(x_0.shape, generator=generator, device=x_0.device) < gamma[:, None]
    anything = torch.randint(codes, x_0.shape, generator=generator, device=x_0.device)
    return torch.where(replaced, anything, x_0)


def marginal(law: Tensor, gamma: Tensor) -> Tensor:
    """α·law + (1 − α)/K [B,N,K]: the distribution of noisy codes at γ [B], given that of clean codes [B,N,K]."""
    share = gamma[:, None, None]
    return (1 - share) * law + share / law.shape[-1]


def excess_rate(x_t: Tensor, x_0: Tensor, law: Tensor, gamma: Tensor) -> Tensor:
    """1/K·Σ_j (b − a + a·log(a/b)) [B,N], at least 0: the divergence between true and modelled reverse rates at unit
    rate, with x_t and x_0 int64 [B,N], and the predicted distribution `law` [B,N,K] of x_0.
    """
    codes = law.shape[-1]
    true = marginal(nn.functional.one_hot(x_0, codes).to(law.dtype), gamma)
    ratios = [p / p.gather(-1, x_t[..., None]) for p in (true, marginal(law, gamma))]
    a, b = ratios
    return (b - a + a * (a / b).log()).sum(-1) / codes


def slope(schedule: MaskSchedule, t: Tensor) -> tuple[Tensor, Tensor]:
    """γ and γ′, float64 [B] each, at times [B]."""
    with torch.enable_grad():
        at = t.detach().requires_grad_()
        gamma = schedule(at)
        (rise,) = torch.autograd.grad(gamma.sum(), at)
    return gamma.detach(), rise


def _levels(tokens: Tensor, generator: Generator) -> Tensor:
    """Stratified uniform numbers in [0, 1], float64 [B]."""
    return draw_levels(len(tokens), "antithetic", generator).double()


def reverse(x_t: Tensor, logits: Tensor, step: Step) -> Tensor:
    """Log p(x_s | x_t) up to a constant, float64 [B,N,K], from x_t int64 [B,N] and logits of x_θ [B,N,K]."""
    codes, alpha_t, alpha_s = logits.shape[-1], 1 - step.share_now, 1 - step.share_then
    kept = alpha_t / alpha_s if alpha_s else 0.0
    arrives = kept * nn.functional.one_hot(x_t, codes).double() + (1 - kept) / codes
    return arrives.log() + (alpha_s * logits.double().softmax(-1) + (1 - alpha_s) / codes).log()


class UniformModel(nn.Module):
    """A model that consists of the network, with logits of `codes` codes."""

    def __init__(self, network: nn.Module, codes: int) -> None:
        super().__init__()
        self.network, self.codes = network, codes


@dataclass(frozen=True)
class UniformState:
    """Uniform-state diffusion: training replaces codes by random ones, and sampling resamples all codes in every step
    (arXiv:2506.10892).

    The mask schedules give the share of replaced codes, which is an input of the network. A share `label_drop` of the
    training images has no label. The `weighting` of times is that of the bound, or γ/γ′ times it, which for masked
    diffusion would be a mean over masked tokens.
    """

    width: Count = 64
    depth: Count = 4
    heads: Count = 4
    label_drop: Share = 0.1
    weighting: Literal["elbo", "uniform"] = "elbo"
    asks: ClassVar[tuple[str, ...]] = (
        "mask_schedule",
        "sampling_schedule",
        "time_grid",
        "guidance_schedule",
        "code_draw",
    )

    def __post_init__(self) -> None:
        check_heads(self.width, self.heads)

    def check(self, parts: Parts, space: TokenSpace) -> None:
        if not space.codes:
            raise Unfit("uniform_state replaces codes, and this tokenizer makes vectors; take tokenizer=kmeans")

    def advise(self, parts: Parts, space: TokenSpace) -> tuple[str, ...]:
        return advise_label_drop(parts, self.label_drop)

    def build(self, parts: Parts, space: TokenSpace, classes: int) -> UniformModel:
        network = TimedTransformer(space, classes, self.width, self.depth, self.heads)
        return UniformModel(network, space.codes or 0)

    def loss(self, model: UniformModel, parts: Parts, tokens: Tensor, labels: Tensor, generator: Generator) -> Tensor:
        dropped = torch.rand(labels.shape, generator=generator, device=labels.device) < self.label_drop
        shown = labels.masked_fill(dropped, UNLABELLED)
        t = EARLIEST_TRAINED + (LATEST - EARLIEST_TRAINED) * _levels(tokens, generator)
        nats, gamma, rise = self._nats(model, parts, tokens, shown, t, generator)
        weights = gamma / rise.clamp_min(1e-6) if self.weighting == "uniform" else torch.ones_like(gamma)
        return (weights[:, None] * nats).mean().float()

    def bound(
        self, model: UniformModel, parts: Parts, space: TokenSpace, tokens: Tensor, labels: Tensor, generator: Generator
    ) -> Tensor:
        """An estimate [B] of an upper bound on −log p(x) in nats, at one time per image; tokens int64 [B,N], labels
        int64 [B].

        Times are stratified on a logarithmic scale, because near t = 0 replaced tokens are rare and contribute much, so
        that uniform times would give an unbounded variance.
        """
        t = (LATEST / EARLIEST) ** (_levels(tokens, generator) - 1)
        nats, _, _ = self._nats(model, parts, tokens, labels, t, generator)
        spread = t * math.log(LATEST / EARLIEST)
        last = parts.mask_schedule(torch.ones(1, dtype=torch.float64, device=tokens.device))
        # The term at t = 1, where sampling starts from uniform noise.
        left = marginal(nn.functional.one_hot(tokens, model.codes).double(), last)
        prior: Tensor = (left * (left * model.codes).log()).sum((1, 2))
        return spread * nats.sum(1) + prior

    def _nats(
        self, model: UniformModel, parts: Parts, tokens: Tensor, labels: Tensor, t: Tensor, generator: Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The integrand of the bound [B,N] at times [B], and γ and γ′ [B]; all float64."""
        gamma, rise = slope(parts.mask_schedule, t)
        x_t = noised(tokens, gamma, model.codes, generator)
        law = model.network(x_t, gamma.float(), labels).double().softmax(-1)
        rate = rise / (1 - gamma).clamp_min(1e-12)
        return rate[:, None] * excess_rate(x_t, tokens, law, gamma), gamma, rise

    def sample(self, model: UniformModel, parts: Parts, space: TokenSpace, request: Request) -> Iterator[State]:
        """Yield x_s int64 [B,N] after every step; no token is masked."""
        start = request.images.fold(1).fold(0).uniform(space.length)
        x = (start * model.codes).long()
        nothing = torch.zeros_like(x, dtype=torch.bool)
        for step in expected(parts.sampling_schedule, parts.time_grid(request.steps)):
            logits = self._guided(model.network, x, request.labels, step, parts.guidance_schedule(step))
            log_p = reverse(x, parts.code_draw(logits.double().flatten(0, 1)).reshape(logits.shape), step)
            noise = request.images.fold(2).fold(step.index)[:, None].fold(torch.arange(space.length, device=x.device))
            x = (log_p + noise.gumbel(model.codes)).argmax(-1)
            yield State(x, nothing)

    def _guided(self, network: nn.Module, x: Tensor, labels: Tensor, step: Step, scale: float) -> Tensor:
        gamma = torch.full((1,), step.share_now, device=x.device)
        if scale == 1:
            return network(x, gamma, labels)  # type: ignore[no-any-return]
        both = torch.cat([labels, torch.full_like(labels, UNLABELLED)])
        with_label, without = network(torch.cat([x, x]), gamma, both).chunk(2)
        return guided(with_label, without, scale)


# Codes and training budget of MaskGIT, with the schedule of the paper.
DUO = Recipe.of(
    process="uniform_state",
    tokenizer="kmeans(codes=128, size=2)",
    mask_schedule="linear",
    guidance_schedule="none",
    train_steps=1800,
    ema=0.998,
)

BIBTEX = r"""
@misc{sahoo2025diffusion,
  title = {The Diffusion Duality},
  author = {Sahoo, Subham Sekhar and Deschenaux, Justin and Gokaslan, Aaron and Wang, Guanghan and Chiu, Justin and
    Kuleshov, Volodymyr},
  year = {2025},
  eprint = {2506.10892},
  archivePrefix = {arXiv},
}

@misc{schiff2024simple,
  title = {Simple Guidance Mechanisms for Discrete Diffusion Models},
  author = {Schiff, Yair and Sahoo, Subham Sekhar and Phung, Hao and Wang, Guanghan and Boshar, Sam and
    Dalla-torre, Hugo and de Almeida, Bernardo P. and Rush, Alexander and Pierrot, Thomas and Kuleshov, Volodymyr},
  year = {2024},
  eprint = {2412.10193},
  archivePrefix = {arXiv},
}
"""


@hookimpl
def mgbench_processes() -> dict[str, type]:
    return {"uniform_state": UniformState}


@hookimpl
def mgbench_recipes() -> dict[str, Recipe]:
    return {"duo": DUO}


@hookimpl
def mgbench_references() -> dict[str, str]:
    return by_key(BIBTEX)
