"""What is a token? What an autoencoder from elsewhere makes of a patch, read from a folder as `diffusers` saves it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mgbench.components.tokenizers.autoencoders import tiled
from mgbench.components.tokenizers.patches import to_bytes, to_unit
from mgbench.errors import Unfit, UserError
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.modules import Fitting
from mgbench.recipes.spec import Positive

CONFIG = "config.json"


class PretrainedModule(nn.Module):
    """Latents times `scale` as tokens; grey images are shown in three equal channels, and come back as their mean."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        autoencoder: Any,
        factor: int,
        latents: Callable[[Any], Tensor],
        scale: float,
    ) -> None:
        super().__init__()
        channels = shape[0]
        takes, dim = autoencoder.config.in_channels, autoencoder.config.latent_channels
        if channels not in (1, takes):
            raise Unfit(f"the autoencoder takes images of {takes} channels, and these have {channels}")
        self.grid = grid = tiled(shape, factor)
        self.shown, self.grey, self.latents, self.scale = takes, channels < takes, latents, scale
        self.space = TokenSpace(grid[0] * grid[1], dim, None, grid)
        self.autoencoder = autoencoder.eval().requires_grad_(False)

    def fit(self, images: Tensor, seed: int) -> Fitting:
        return iter(())

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        shown = to_unit(images).expand(-1, self.shown, -1, -1)
        return self.latents(self.autoencoder.encode(shown)).flatten(2).transpose(1, 2) * self.scale

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        latents = (tokens / self.scale).transpose(1, 2).reshape(len(tokens), -1, *self.grid)
        pixels = self.autoencoder.decode(latents).sample
        return to_bytes(pixels.mean(1, keepdim=True) if self.grey else pixels)


def _read(kind: Any, path: str) -> Any:
    """An autoencoder from a folder, and from nowhere else.

    Raises:
        UserError: if there is none.
    """
    what = f"a folder with {CONFIG} and the weights of an {kind.__name__}, as its save_pretrained writes them"
    if not (Path(path) / CONFIG).is_file():
        raise UserError(f"there is no {CONFIG} in {path!r}; name {what}")
    try:
        return kind.from_pretrained(path, local_files_only=True, low_cpu_mem_usage=False)
    except Exception as error:
        said = " ".join(str(error).split())
        raise UserError(f"{path!r} cannot be read ({type(error).__name__}: {said}); name {what}") from error


def _files(path: str) -> tuple[Path, ...]:
    return tuple(sorted(file for file in Path(path).glob("*") if file.is_file()))


@dataclass(frozen=True)
class PretrainedKl:
    """The `AutoencoderKL` in a folder: the mean of its posterior times `scale` (LDM, arXiv:2112.10752).

    The default scale is that of Stable Diffusion's f8 autoencoder; MAR's f16 takes 0.2325.
    """

    path: str
    scale: Positive = 0.18215

    @property
    def files(self) -> tuple[Path, ...]:
        """What decides the tokens beside the options."""
        return _files(self.path)

    def build(self, shape: tuple[int, int, int]) -> PretrainedModule:
        from diffusers import AutoencoderKL

        autoencoder = _read(AutoencoderKL, self.path)
        factor = 2 ** (len(autoencoder.config.block_out_channels) - 1)
        return PretrainedModule(shape, autoencoder, factor, _mean, self.scale)


@dataclass(frozen=True)
class DcAe:
    """The deep compression autoencoder (`AutoencoderDC`) in a folder, whose latents are not random (arXiv:2410.10733).

    The default scale is that of the f32c32 model for ImageNet.
    """

    path: str
    scale: Positive = 0.3189

    @property
    def files(self) -> tuple[Path, ...]:
        """What decides the tokens beside the options."""
        return _files(self.path)

    def build(self, shape: tuple[int, int, int]) -> PretrainedModule:
        from diffusers import AutoencoderDC

        autoencoder = _read(AutoencoderDC, self.path)
        factor = int(autoencoder.spatial_compression_ratio)
        return PretrainedModule(shape, autoencoder, factor, _latent, self.scale)


def _mean(encoded: Any) -> Tensor:
    mean: Tensor = encoded.latent_dist.mode()
    return mean


def _latent(encoded: Any) -> Tensor:
    latent: Tensor = encoded.latent
    return latent


@hookimpl
def mgbench_tokenizers() -> dict[str, type]:
    return {"pretrained_kl": PretrainedKl, "dc_ae": DcAe}
