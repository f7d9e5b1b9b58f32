"""Bottlenecks between the encoder and the decoder of an autoencoder: a codebook, rounded numbers, or a normal law."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor, nn


class Bottleneck(nn.Module, ABC):
    """Vectors [B,N,inputs] in, vectors [B,N,outputs] out, and on the way the tokens: codes, or the vectors themselves.

    Calling it is training: it gives the vectors, and a loss to add to that of the reconstruction.
    """

    inputs: int
    outputs: int
    codes: int | None = None

    @abstractmethod
    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """The vectors [B,N,outputs] of vectors [B,N,inputs], and what to add to the loss."""

    @abstractmethod
    def tokens(self, h: Tensor) -> Tensor:
        """Vectors [B,N,inputs] to tokens, int64 [B,N] or float [B,N,outputs]."""

    @abstractmethod
    def vectors(self, tokens: Tensor) -> Tensor:
        """Tokens to vectors [B,N,outputs]."""

    def finish(self, batches: Iterator[Tensor]) -> None:
        """Look at the vectors [B,N,inputs] of all training images once training is over."""


class NearestVector(Bottleneck):
    """The nearest of K vectors, each the moving average of what it stands for (van den Oord et al., arXiv:1711.00937).

    The codebook starts from k-means of the first batch, and a code that stands for less than a tenth of its `share` of a batch
    is moved to a random vector of it: without either, most codes of a large codebook die.
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
    """Each of a few numbers rounded to one of its levels; a code is a combination of them (Mentzer et al., arXiv:2309.15505)."""

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
    """Numbers drawn from N(mean, variance) in training; `weight` times their mean KL divergence from N(0, 1) is the loss.

    A token is the mean, times a `scale` that brings the means of all training images to a standard deviation of 1
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

        # The distribution is one of images: channels come second.
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
