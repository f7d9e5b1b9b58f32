"""Latents of the autoencoders of `diffusers`: what these are asked, and the scale of what they say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Scaling:
    """Affine map between latents and tokens, per channel: token = (latent − shift) · scale.

    `shift` and `scale` are numbers or float tensors [D].
    """

    scale: Any
    shift: Any = 0.0

    @classmethod
    def of(cls, config: Mapping[str, Any], given: float, usual: float) -> "Scaling":
        """The scaling that an autoencoder's own configuration states.

        `scaling_factor` and `shift_factor` as in SD3 and Flux, `latents_mean` and `latents_std` [D] where a configuration
        has them; a scale that is `given` (not 0) takes the place of the factor, and `usual` is for those that state none.
        """
        factor = given or config.get("scaling_factor") or usual
        mean, std = (config.get(name) for name in ("latents_mean", "latents_std"))
        if mean is not None and std is not None:
            return cls(factor / torch.tensor(std), torch.tensor(mean))
        return cls(factor, config.get("shift_factor") or 0.0)

    def tokens(self, latents: Tensor) -> Tensor:
        """Latents float [B,N,D] as tokens of the same shape."""
        scaled: Tensor = (latents - self._at(self.shift, latents)) * self._at(self.scale, latents)
        return scaled

    def latents(self, tokens: Tensor) -> Tensor:
        """Tokens float [B,N,D] as latents of the same shape."""
        unscaled: Tensor = tokens / self._at(self.scale, tokens) + self._at(self.shift, tokens)
        return unscaled

    @staticmethod
    def _at(number: Tensor | float, like: Tensor) -> Tensor | float:
        return number.to(like) if isinstance(number, Tensor) else number


class Posterior(Protocol):
    """A normal law of latents, as `diffusers` has it."""

    mean: Tensor
    std: Tensor


class Encoded(Protocol):
    """The answer of an autoencoder of `diffusers` to images: one of these."""

    latents: Tensor
    latent: Tensor
    latent_dist: Posterior


class Autoencoder(Protocol):
    """The part of an autoencoder of `diffusers` that is used here; it has no types of its own."""

    config: Any
    spatial_compression_ratio: int

    def encode(self, pixels: Tensor) -> Encoded: ...
    def decode(self, latents: Tensor) -> Any: ...


Taken = Callable[[Encoded, Tensor], Tensor]
