"""Protocols of the autoencoders in `diffusers`, and the scaling of their latents."""

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
        """The scaling from the configuration of an autoencoder.

        It uses `scaling_factor` and `shift_factor` (SD3, Flux), or `latents_mean` and `latents_std` [D]; a `given`
        scale (not 0) replaces the factor, and `usual` is the default if there is none.
        """
        factor = given or config.get("scaling_factor") or usual
        mean, std = (config.get(name) for name in ("latents_mean", "latents_std"))
        if mean is not None and std is not None:
            return cls(factor / torch.tensor(std), torch.tensor(mean))
        return cls(factor, config.get("shift_factor") or 0.0)

    def tokens(self, latents: Tensor) -> Tensor:
        """Convert latents float [B,N,D] to tokens of the same shape."""
        scaled: Tensor = (latents - self._at(self.shift, latents)) * self._at(self.scale, latents)
        return scaled

    def latents(self, tokens: Tensor) -> Tensor:
        """Convert tokens float [B,N,D] to latents of the same shape."""
        unscaled: Tensor = tokens / self._at(self.scale, tokens) + self._at(self.shift, tokens)
        return unscaled

    @staticmethod
    def _at(number: Tensor | float, like: Tensor) -> Tensor | float:
        return number.to(like) if isinstance(number, Tensor) else number


class Posterior(Protocol):
    """A Gaussian distribution of latents in `diffusers`."""

    mean: Tensor
    std: Tensor


class Encoded(Protocol):
    """The result of `encode` in `diffusers`, which has one of these attributes."""

    latents: Tensor
    latent: Tensor
    latent_dist: Posterior


class Autoencoder(Protocol):
    """The part of `diffusers` autoencoders that is used here, for type checking."""

    config: Any
    spatial_compression_ratio: int

    def encode(self, pixels: Tensor) -> Encoded: ...
    def decode(self, latents: Tensor) -> Any: ...


Taken = Callable[[Encoded, Tensor], Tensor]
