"""Bottlenecks of autoencoders: vector quantisation, finite scalar quantisation, and a Gaussian."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor, nn


class Bottleneck(nn.Module, ABC):
    """A map from encoder outputs [B,N,inputs] to decoder inputs [B,N,outputs] through tokens.

    The forward pass is for training, and also returns a loss to add to the reconstruction loss.
    """

    inputs: int
    outputs: int
    codes: int | None = None

    @abstractmethod
    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """The vectors [B,N,outputs] for h [B,N,inputs], and an additional loss (a scalar)."""

    @abstractmethod
    def tokens(self, h: Tensor) -> Tensor:
        """The tokens, int64 [B,N] or float [B,N,outputs], of h [B,N,inputs]."""

    @abstractmethod
    def vectors(self, tokens: Tensor) -> Tensor:
        """The vectors [B,N,outputs] of tokens, int64 [B,N] or float [B,N,outputs]."""

    def finish(self, batches: Iterator[Tensor]) -> None:
        """Process the encoder outputs [B,N,inputs] of all training images after training."""


class NearestVector(Bottleneck):
    """Vector quantisation with a codebook updated by moving averages (van den Oord et al., arXiv:1711.00937).

    The codebook is initialised by k-means on the first batch, and codes used for less than a tenth of their `share` of
    a batch are reset to random vectors of it; otherwise most codes of a large codebook would be unused.
    """

    def __init__(self, codes: int, dim: int, commitment: float, share: float) -> None:
        from vector_quantize_pytorch import VectorQuantize

        super().__init__()
        self.inputs = self.outputs = dim
        self.codes = codes
        self.quantizer = VectorQuantize(
            *(dim, codes),
            decay=0.95,
            kmeans_init=True,
            commitment_weight=commitment,
            threshold_ema_dead_code=share / 10,
        )

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        vectors, _, loss = self.quantizer(h)
        return vectors, loss.sum()

    def tokens(self, h: Tensor) -> Tensor:
        codes: Tensor = self.quantizer(h)[1]
        return codes

    def vectors(self, tokens: Tensor) -> Tensor:
        vectors: Tensor = self.quantizer.get_output_from_indices(tokens)
        return vectors


class RoundedNumbers(Bottleneck):
    """Finite scalar quantisation: each number is rounded to one of its levels (Mentzer et al., arXiv:2309.15505)."""

    def __init__(self, levels: tuple[int, ...]) -> None:
        from vector_quantize_pytorch import FSQ

        super().__init__()
        self.inputs = self.outputs = len(levels)
        self.codes = math.prod(levels)
        self.quantizer = FSQ(list(levels))

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        return self.quantizer(h)[0], h.new_zeros(())

    def tokens(self, h: Tensor) -> Tensor:
        codes: Tensor = self.quantizer(h)[1]
        return codes.long()

    def vectors(self, tokens: Tensor) -> Tensor:
        vectors: Tensor = self.quantizer.indices_to_codes(tokens)
        return vectors


class NormalLaw(Bottleneck):
    """A Gaussian bottleneck with `weight` times the mean KL divergence from N(0, 1) as its loss.

    A token is the mean, multiplied by a `scale` that gives the means of all training images a standard deviation of 1
    (Rombach et al., arXiv:2112.10752, appendix G).
    """

    scale: Tensor

    def __init__(self, channels: int, weight: float, denoise: float = 0.0) -> None:
        super().__init__()
        self.inputs, self.outputs, self.weight = 2 * channels, channels, weight
        self.denoise = denoise
        self.register_buffer("scale", torch.ones(()))

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

        # The distribution class expects the channels in dimension 1.
        law = DiagonalGaussianDistribution(h.transpose(1, 2)[..., None])
        drawn: Tensor = law.sample()[..., 0].transpose(1, 2)
        if self.denoise:
            u = torch.rand(len(drawn), 1, 1, device=drawn.device)
            drawn = torch.lerp(drawn, self.denoise * torch.randn_like(drawn), u)
        return drawn, self.weight * law.kl().mean() / (h.shape[1] * self.outputs)

    def tokens(self, h: Tensor) -> Tensor:
        return h[..., : self.outputs] * self.scale

    def vectors(self, tokens: Tensor) -> Tensor:
        return tokens / self.scale

    def finish(self, batches: Iterator[Tensor]) -> None:
        means = torch.cat([h[..., : self.outputs] for h in batches])
        self.scale.copy_(1 / means.std().clamp_min(1e-6))
