"""Tokens of autoencoders from elsewhere, read from a folder as `diffusers` saves it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mgbench.components.checkpoints.exact import refuse_differences, refuse_numbers
from mgbench.components.tokenizers.autoencoders import tiled
from mgbench.components.tokenizers.patches import to_bytes, to_unit
from mgbench.errors import Unfit, UserError
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.images import Images
from mgbench.interfaces.modules import Fitting
from mgbench.recipes.spec import NotNegative

CONFIG = "config.json"


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


class PretrainedModule(nn.Module):
    """Scaled latents as tokens; grey images are shown in three equal channels, and come back as their mean."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        autoencoder: Any,  # Any: diffusers has no types
        factor: int,
        latents: Callable[[Any], Tensor],
        scaling: Scaling,
    ) -> None:
        super().__init__()
        channels = shape[0]
        takes, dim = autoencoder.config.in_channels, autoencoder.config.latent_channels
        if channels not in (1, takes):
            raise Unfit(f"the autoencoder takes images of {takes} channels, and these have {channels}")
        self.grid = grid = tiled(shape, factor)
        self.shown, self.grey, self.latents, self.scaling = takes, channels < takes, latents, scaling
        self.space = TokenSpace(grid[0] * grid[1], dim, None, grid)
        self.autoencoder = autoencoder.eval().requires_grad_(False)

    def fit(self, images: Images, seed: int) -> Fitting:
        """No steps: images uint8 [M,C,H,W'] are not looked at, since nothing is left to learn."""
        return iter(())

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Images uint8 [B,C,H,W'] to tokens float32 [B,N,D], in raster order of the grid."""
        shown = to_unit(images).expand(-1, self.shown, -1, -1)
        return self.scaling.tokens(self.latents(self.autoencoder.encode(shown)).flatten(2).transpose(1, 2))

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        """Tokens float [B,N,D] to images uint8 [B,C,H,W']."""
        latents = self.scaling.latents(tokens).transpose(1, 2).reshape(len(tokens), -1, *self.grid)
        pixels = self.autoencoder.decode(latents).sample
        return to_bytes(pixels.mean(1, keepdim=True) if self.grey else pixels)


# Any here and below: diffusers has no types.
def _read(kind: Any, path: str) -> Any:
    """An autoencoder from a folder, and from nowhere else.

    Raises:
        UserError: if there is none, or its weights are not exactly those of the network that its configuration describes.
    """
    what = f"a folder with {CONFIG} and the weights of an {kind.__name__}, as its save_pretrained writes them"
    if not (Path(path) / CONFIG).is_file():
        raise UserError(f"there is no {CONFIG} in {path!r}; name {what}")
    try:
        autoencoder, found = _loaded(kind, path)
    except Exception as error:
        said = " ".join(str(error).split())
        raise UserError(f"{path!r} cannot be read ({type(error).__name__}: {said}); name {what}") from error
    shapes = {name: f"{_size(theirs)} instead of {_size(ours)}" for name, theirs, ours in found["mismatched_keys"]}
    refuse_differences(repr(path), found["missing_keys"], found["unexpected_keys"], shapes)
    refuse_numbers(repr(path), autoencoder.state_dict())
    return autoencoder


# Any: as above.
def _loaded(kind: Any, path: str) -> tuple[Any, Mapping[str, Any]]:
    """An autoencoder, and which of its weights the folder did not have: diffusers itself only logs that."""
    from diffusers.utils import logging

    logger = logging.get_logger("diffusers.models.modeling_utils")
    level = logger.level
    # What it logs becomes one sentence; it also says to train the model.
    logger.setLevel(logging.ERROR)
    try:
        found: tuple[Any, Mapping[str, Any]] = kind.from_pretrained(
            path,
            local_files_only=True,
            low_cpu_mem_usage=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
        return found
    finally:
        logger.setLevel(level)


def _size(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "one number"


def _config(path: str) -> Mapping[str, Any]:
    """The settings that the configuration in a folder gives, without the defaults of its class."""
    stated: Mapping[str, Any] = json.loads((Path(path) / CONFIG).read_text(encoding="utf-8"))
    return stated


def _files(path: str) -> tuple[Path, ...]:
    return tuple(sorted(file for file in Path(path).glob("*") if file.is_file()))


@dataclass(frozen=True)
class PretrainedKl:
    """The `AutoencoderKL` in a folder: the scaled mean of its posterior (LDM, arXiv:2112.10752).

    A `scale` of 0 stands for the scaling that the autoencoder's own configuration states (and, where it states none, for
    0.18215 of Stable Diffusion's f8 autoencoder); MAR's f16 takes 0.2325.
    """

    path: str
    scale: NotNegative = 0.0

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that decide the tokens beside the options."""
        return _files(self.path)

    def build(self, shape: tuple[int, int, int]) -> PretrainedModule:
        """The tokenizer for images of shape (C, H, W').

        Raises:
            Unfit: if it cannot take such images.
            UserError: if the folder does not hold exactly these weights.
        """
        from diffusers import AutoencoderKL

        autoencoder = _read(AutoencoderKL, self.path)
        factor = 2 ** (len(autoencoder.config.block_out_channels) - 1)
        return PretrainedModule(shape, autoencoder, factor, _mean, Scaling.of(_config(self.path), self.scale, 0.18215))


@dataclass(frozen=True)
class DcAe:
    """The deep compression autoencoder (`AutoencoderDC`) in a folder, whose latents are not random (arXiv:2410.10733).

    A `scale` of 0 stands for the scaling that the autoencoder's own configuration states (and, where it states none, for
    0.3189 of the f32c32 model for ImageNet).
    """

    path: str
    scale: NotNegative = 0.0

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that decide the tokens beside the options."""
        return _files(self.path)

    def build(self, shape: tuple[int, int, int]) -> PretrainedModule:
        """The tokenizer for images of shape (C, H, W').

        Raises:
            Unfit: if it cannot take such images.
            UserError: if the folder does not hold exactly these weights.
        """
        from diffusers import AutoencoderDC

        autoencoder = _read(AutoencoderDC, self.path)
        factor = int(autoencoder.spatial_compression_ratio)
        return PretrainedModule(shape, autoencoder, factor, _latent, Scaling.of(_config(self.path), self.scale, 0.3189))


# Any here and below: diffusers has no types.
def _mean(encoded: Any) -> Tensor:
    mean: Tensor = encoded.latent_dist.mode()
    return mean


# Any: as above.
def _latent(encoded: Any) -> Tensor:
    latent: Tensor = encoded.latent
    return latent


@hookimpl
def mgbench_tokenizers() -> dict[str, type]:
    return {"pretrained_kl": PretrainedKl, "dc_ae": DcAe}
