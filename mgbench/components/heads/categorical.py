"""The categorical head for discrete tokens: a softmax over K codes."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from mgbench.components.networks.linear import Linear
from mgbench.errors import Unfit
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Drawn, guided
from mgbench.recipes.spec import Share


class CategoricalModule(nn.Module):
    """A linear layer from rows z float [R,W] to logits float [R,K]."""

    def __init__(self, options: "Categorical", codes: int, width: int) -> None:
        super().__init__()
        self.options = options
        self.logits = Linear(width, codes)
        nn.init.normal_(self.logits.weight, std=0.02)
        nn.init.zeros_(self.logits.bias)

    def forward(self, z: Tensor) -> Tensor:
        logits: Tensor = self.logits(z)
        return logits

    def loss(self, z: Tensor, values: Tensor, generator: Generator) -> Tensor:
        """Cross-entropy float [R] in nats of the codes int64 [R] at rows z [R,W]."""
        smoothing = self.options.label_smoothing
        return functional.cross_entropy(self(z).float(), values, reduction="none", label_smoothing=smoothing)

    def log_likelihood(self, z: Tensor, values: Tensor) -> Tensor:
        """Log p float64 [R] of codes int64 [R] given rows z [R,W]; label smoothing applies only to training."""
        return -functional.cross_entropy(self(z).double(), values, reduction="none")

    def sample(
        self,
        z: Tensor,
        z_uncond: Tensor | None,
        scale: float,
        rng: Streams,
        parts: Parts,
        temperature: float = 1.0,
    ) -> Drawn:
        """Sample codes int64 [R] from the (guided) distribution given z [R,W], in float64, with logits float64 [R,K].

        Lower precision truncates the tail, which acts as a lower temperature.
        """
        logits = self(z)
        if z_uncond is not None:
            logits = guided(logits, self(z_uncond), scale)
        logits = parts.code_draw(logits.double())
        log_p = torch.log_softmax(logits, -1)
        codes = (log_p + temperature * rng.gumbel(log_p.shape[-1])).argmax(-1)
        return Drawn(codes, log_p.gather(-1, codes[:, None]).squeeze(-1), logits)


@dataclass(frozen=True)
class Categorical:
    """A softmax over the codes, trained by cross-entropy with label smoothing (Szegedy et al., arXiv:1512.00567)."""

    label_smoothing: Share = 0.0
    asks: ClassVar[tuple[str, ...]] = ("code_draw",)

    def check(self, parts: Parts, space: TokenSpace) -> None:
        if not space.codes:
            raise Unfit(
                "the categorical head draws codes, and this tokenizer has none; take head=diffusion or a tokenizer such as kmeans"
            )

    def build(self, space: TokenSpace, width: int) -> CategoricalModule:
        if space.codes is None:
            raise ValueError("a categorical head needs a tokenizer with codes")
        return CategoricalModule(self, space.codes, width)


@hookimpl
def mgbench_heads() -> dict[str, type]:
    return {"categorical": Categorical}
