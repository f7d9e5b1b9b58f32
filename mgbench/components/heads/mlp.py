"""The MLP of the diffusion and flow heads, with a noisy token, a time and z as input (MAR, arXiv:2406.11838)."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from mgbench.components.networks.blocks import time_features, with_product
from mgbench.components.networks.linear import Linear, linear
from mgbench.components.networks.norm import LayerNorm
from mgbench.interfaces.components import Parts
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Drawn, guided

FREQUENCIES = 128
EPS = 1e-6
# Wider heads spend their time in products, and would copy more numbers than they save calls.
NARROW = 128


class ResidualBlock(nn.Module):
    """A residual MLP with adaptive layer norm (DiT, arXiv:2212.09748)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = LayerNorm(width, eps=EPS)
        self.mlp = nn.Sequential(Linear(width, width), nn.SiLU(), Linear(width, width))
        self.modulation = Linear(width, 3 * width)

    def forward(self, h: Tensor, condition: Tensor, known: Sequence[Tensor] = ()) -> Tensor:
        """Map h [R,W] to [R,W] given a condition [R,W]; `known` are its shift, 1 + scale and gate if computed before."""
        shift, scale, gate = known or _modulated(self.modulation, condition)
        return with_product(h, gate, self.mlp(with_product(shift, self.norm(h), scale)))


def _modulated(layer: nn.Linear, condition: Tensor) -> Sequence[Tensor]:
    """Shift, 1 + scale and, if the layer has three parts, gate, float [R,W] each, of conditions [R,W]."""
    width = condition.shape[-1]
    return torch.split(linear(condition, layer.weight, _with_one(layer.bias, width)), width, -1)


def _with_one(bias: Tensor, width: int) -> Tensor:
    """Biases [M·W] of shifts, scales and gates, one after the other, with 1 added to those of scales."""
    scales = torch.arange(len(bias) // width, device=bias.device) % 3 == 1
    return (bias.view(-1, width) + scales[:, None]).flatten()


@dataclass(frozen=True)
class Known:
    """Shared by the evaluations of a solve: projected z float [R,W], and of narrow heads all modulations as one layer.

    The layer has the weights [M·W,W] and biases [M·W] of the modulations one after the other, and adds 1 to scales.
    """

    projected: Tensor
    layer: tuple[Tensor, Tensor] | None

    def modulated(self, condition: Tensor) -> Sequence[tuple[Tensor, ...]]:
        """As `_modulated` of conditions [R,W], for every block and the exit; nothing without the layer."""
        if self.layer is None:
            return ()
        parts = torch.split(linear(condition, *self.layer), condition.shape[-1], -1)
        return [parts[first : first + 3] for first in range(0, len(parts), 3)]


class TokenMLP(nn.Module):
    """Maps noisy tokens x [R,D] at times t [R] (or [1], for all), given z [R,W], to [R,`outputs`].

    A head defines what the first D outputs predict, the training times and the loss. `betas` is its noise table, empty
    for the straight path.
    """

    betas: Tensor

    def __init__(self, dim: int, outputs: int, condition: int, width: int, depth: int, noise_samples: int) -> None:
        super().__init__()
        self.dim, self.noise_samples = dim, noise_samples
        self.time = nn.Sequential(Linear(2 * FREQUENCIES, width), nn.SiLU(), Linear(width, width))
        self.condition = Linear(condition, width)
        self.entry = Linear(dim, width)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(depth))
        self.exit_norm = LayerNorm(width, eps=EPS, elementwise_affine=False)
        self.exit_modulation = Linear(width, 2 * width)
        self.exit = Linear(width, outputs)
        self._initialise()

    def _initialise(self) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)
        # Every block starts as the identity, and the output as zero.
        gates = [block.modulation for block in self.blocks if isinstance(block, ResidualBlock)]
        for closed in (*gates, self.exit_modulation, self.exit):
            nn.init.zeros_(closed.weight)

    def numbers(self, x: Tensor, embedded: Tensor, z: Tensor, known: Known | None = None) -> Tensor:
        """The outputs float [R,`outputs`], from embedded times [R,width] or [1,width].

        A z [R/S,W] of fewer rows is that of S copies one after the other. `known` is `known(z)` if it was computed
        before.
        """
        projected = self.condition(z) if known is None else known.projected
        rows, width = projected.shape
        copies = embedded.expand(len(x), width).reshape(len(x) // max(1, rows), rows, width)
        y = nn.functional.silu(copies + projected).flatten(0, 1)
        of_all: Sequence[Sequence[Tensor]] = known.modulated(y) if known else ()
        *sets, last = of_all or [()] * (len(self.blocks) + 1)
        h = self.entry(x)
        for block, of_block in zip(self.blocks, sets, strict=True):
            h = block(h, y, of_block)
        shift, scale = last or _modulated(self.exit_modulation, y)
        out: Tensor = self.exit(with_product(shift, self.exit_norm(h), scale))
        return out

    def known(self, z: Tensor) -> Known:
        """Quantities that evaluations with the same z [R,W] share."""
        projected: Tensor = self.condition(z)
        if projected.shape[-1] > NARROW:
            return Known(projected, None)
        layers = [*(block.modulation for block in self.blocks), self.exit_modulation]
        weight, bias = (torch.cat([getattr(layer, name) for layer in layers]) for name in ("weight", "bias"))
        return Known(projected, (weight, _with_one(bias, projected.shape[-1])))

    def embedded(self, t: Tensor, dtype: torch.dtype) -> Tensor:
        """The embedding [R,width] of times [R] on the scale 0 to 999."""
        embedded: Tensor = self.time(time_features(t, FREQUENCIES).to(dtype))
        return embedded

    @abstractmethod
    def forward(self, x: Tensor, t: Tensor, z: Tensor, known: Known | None = None) -> tuple[Tensor, Tensor | None]:
        """The prediction [R,D], and the variance value [R,D] if the head learns one."""

    @abstractmethod
    def draw_times(self, rows: int, generator: Generator) -> Tensor:
        """Training times [R], with R = `rows`."""

    @abstractmethod
    def loss_terms(self, z: Tensor, values: Tensor, t: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        """The terms [R] of the loss of values [R,D] at times [R] with noise [R,D], given z [R,W], or [R/S,W] for S copies."""

    def loss(self, z: Tensor, values: Tensor, generator: Generator) -> Tensor:
        """The loss [R], averaged over `noise_samples` noisy copies of each row."""
        values = values.repeat(self.noise_samples, 1)
        t = self.draw_times(len(values), generator)
        noise = torch.randn(values.shape, generator=generator, device=z.device)
        terms = torch.stack(self.loss_terms(z, values, t, noise)).sum(0)
        return terms.reshape(self.noise_samples, -1).mean(0)

    def sample(
        self,
        z: Tensor,
        z_uncond: Tensor | None,
        scale: float,
        rng: Streams,
        parts: Parts,
        temperature: float = 1.0,
    ) -> Drawn:
        """Sample values [R,D] given z [R,W] with the solver; there are no probabilities, and the temperature is the
        solver's.
        """
        halves = z if z_uncond is None else torch.cat([z, z_uncond])
        known = self.known(halves)

        def predict(x: Tensor, time: float) -> tuple[Tensor, Tensor | None]:
            t = torch.full((1,), time, device=z.device)
            if z_uncond is None:
                predicted: tuple[Tensor, Tensor | None] = self(x, t, z, known)
                return predicted
            both, value = self(torch.cat([x, x]), t, halves, known)
            with_label, without = both.chunk(2)
            return guided(with_label, without, scale), None if value is None else value.chunk(2)[0]

        return Drawn(parts.solver.solve(predict, self.betas, self.dim, rng))
