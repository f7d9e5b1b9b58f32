"""Tokenizers that use a pretrained autoencoder in the format of `diffusers`, from a folder or the hub's cache."""

import hashlib
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import StringConstraints
from torch import Generator, Tensor, nn

from mgbench.components.tokenizers.autoencoders import raster, tiled, unraster
from mgbench.components.tokenizers.latents import Autoencoder, Encoded, Scaling, Taken
from mgbench.components.tokenizers.patches import to_bytes, to_unit
from mgbench.components.tokenizers.stored import content_of, fetch_autoencoder, read_autoencoder, stated
from mgbench.errors import Unfit, UserError
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.images import Images
from mgbench.interfaces.modules import Fitting
from mgbench.recipes.spec import NotNegative

# Downsampling factor and channels, such as f16c16; empty for any.
Form = Annotated[str, StringConstraints(pattern=r"^(f\d+c\d+)?$")]


class PretrainedModule(nn.Module):
    """Scaled latents as tokens; grey images are encoded as three equal channels, and decoded as their mean.

    `latents` maps the output of `encode`, and the images uint8 [B,C,H,W'], to latents float [B,D,h,w].
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        autoencoder: Autoencoder,
        factor: int,
        latents: Taken,
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
        self.autoencoder = autoencoder

    def fit(self, images: Images, seed: int) -> Fitting:
        """No fitting: images uint8 [M,C,H,W'] are not used."""
        return iter(())

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Encode images uint8 [B,C,H,W'] as tokens float32 [B,N,D] in raster order."""
        return self.scaling.tokens(raster(self._latents(images)))

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        """Decode tokens float [B,N,D] to images uint8 [B,C,H,W']."""
        return _images(self.autoencoder.decode(unraster(self.scaling.latents(tokens), self.grid)).sample, self.grey)

    def _latents(self, images: Tensor) -> Tensor:
        shown = to_unit(images).expand(-1, self.shown, -1, -1)
        return self.latents(self.autoencoder.encode(shown), images)


def _images(pixels: Tensor, grey: bool) -> Tensor:
    """Convert pixels float [B,C,H,W'] to images uint8, with one channel if `grey`."""
    return to_bytes(pixels.mean(1, keepdim=True) if grey else pixels)


class CodesModule(PretrainedModule):
    """The nearest vectors of a codebook as codes."""

    autoencoder: Any

    def __init__(self, shape: tuple[int, int, int], autoencoder: Autoencoder, factor: int, latents: Taken) -> None:
        super().__init__(shape, autoencoder, factor, latents, Scaling(1.0))
        codes, dim = self.autoencoder.quantize.embedding.weight.shape
        self.space = TokenSpace(self.space.length, dim, codes, self.grid)

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Encode images uint8 [B,C,H,W'] as codes int64 [B,N] in raster order."""
        found: Tensor = self.autoencoder.quantize(self._latents(images))[2][2]
        return found.reshape(len(images), -1)

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        """Decode codes int64 [B,N] to images uint8 [B,C,H,W']."""
        vectors = unraster(self.autoencoder.quantize.embedding(tokens), self.grid)
        # Through its layers, because `decode` looks up codes itself only in some configurations.
        return _images(self.autoencoder.decoder(self.autoencoder.post_quant_conv(vectors), None), self.grey)


class Stored(ABC):
    """A tokenizer with the autoencoder at `path`, a folder or a name on the hub."""

    path: str
    scale: NotNegative = 0.0
    form: Form = ""
    # The scale if neither the option nor the configuration has one.
    usual: ClassVar[float] = 1.0

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the autoencoder, on which the tokens depend."""
        return content_of(self.path)

    def expected_space(self, shape: tuple[int, int, int]) -> TokenSpace | None:
        """The token space of images of shape (C, H, W') according to `form`; None if `form` is empty."""
        said = re.fullmatch(r"f(\d+)c(\d+)", self.form)
        if not said:
            return None
        grid = tiled(shape, int(said[1]))
        return TokenSpace(grid[0] * grid[1], int(said[2]), None, grid)

    def build(self, shape: tuple[int, int, int]) -> PretrainedModule:
        """The tokenizer for images of shape (C, H, W').

        Raises:
            Unfit: if it does not support such images.
            UserError: if the weights are missing, do not fit, or have another form.
        """
        autoencoder = read_autoencoder(self.kind(), self.path)
        factor = self.factor(autoencoder)
        found = f"f{factor}c{autoencoder.config.latent_channels}"
        if self.form not in ("", found):
            raise UserError(
                f"{self.path!r} holds an autoencoder {found}, and form={self.form} asks for another; name that"
            )
        return self.module(shape, autoencoder, factor)

    def fetch(self) -> None:
        """Download configuration and weights into the hub's cache, unless they are there, and read them.

        Raises:
            UserError: if they cannot be downloaded, are missing in a given folder, or do not fit.
        """
        fetch_autoencoder(self.path)
        read_autoencoder(self.kind(), self.path)

    @abstractmethod
    def kind(self) -> Any:
        """The `diffusers` class of the autoencoder."""

    def factor(self, autoencoder: Autoencoder) -> int:
        """The downsampling factor."""
        return int(2 ** (len(autoencoder.config.block_out_channels) - 1))

    def module(self, shape: tuple[int, int, int], autoencoder: Autoencoder, factor: int) -> PretrainedModule:
        """The tokenizer of an autoencoder."""
        scaling = Scaling.of(stated(self.path), self.scale, self.usual)
        return PretrainedModule(shape, autoencoder, factor, self.latents, scaling)

    def latents(self, encoded: Encoded, images: Tensor) -> Tensor:
        """Latents float [B,D,h,w] in the output of `encode` for images uint8 [B,C,H,W']."""
        return encoded.latents


@dataclass(frozen=True)
class PretrainedKl(Stored):
    """Scaled latents of an `AutoencoderKL` in a folder or on the hub (LDM, arXiv:2112.10752).

    A `scale` of 0 means the scaling in the configuration of the autoencoder (default: 0.18215, of Stable Diffusion's f8
    autoencoder); MAR's f16 needs 0.2325. A latent is the `mean` of its posterior or a `sample`, as in MAR and eMIGM,
    whose noise is derived from the image, so that an image always has the same tokens. With a `form`, such as f16c16,
    other autoencoders are refused, and a run can be planned without the files.
    """

    path: str
    scale: NotNegative = 0.0
    form: Form = ""
    latent: Literal["mean", "sample"] = "mean"
    usual: ClassVar[float] = 0.18215

    def kind(self) -> Any:
        from diffusers import AutoencoderKL

        return AutoencoderKL

    def latents(self, encoded: Encoded, images: Tensor) -> Tensor:
        law = encoded.latent_dist
        mean = law.mean
        if self.latent == "mean":
            return mean
        noise = torch.stack([_noise(image, mean.shape[1:]) for image in images]).to(mean)
        return torch.addcmul(mean, law.std, noise)


@dataclass(frozen=True)
class DcAe(Stored):
    """Scaled latents of a deep compression autoencoder (`AutoencoderDC`, arXiv:2410.10733) in a folder or on the hub.

    A `scale` of 0 means the scaling in the configuration of the autoencoder (default: 0.3189, which eMIGM uses with the
    f32c32 model for ImageNet). `form` is as in `pretrained_kl`.
    """

    path: str
    scale: NotNegative = 0.0
    form: Form = ""
    usual: ClassVar[float] = 0.3189

    def kind(self) -> Any:
        from diffusers import AutoencoderDC

        return AutoencoderDC

    def factor(self, autoencoder: Autoencoder) -> int:
        return int(autoencoder.spatial_compression_ratio)

    def latents(self, encoded: Encoded, images: Tensor) -> Tensor:
        return encoded.latent


@dataclass(frozen=True)
class PretrainedTiny(Stored):
    """Latents of an `AutoencoderTiny`, such as TAESD, in a folder or on the hub.

    Its latents are already scaled; a `scale` other than 0 replaces that of its configuration (1).
    `form` is as in `pretrained_kl`.
    """

    path: str
    scale: NotNegative = 0.0
    form: Form = ""

    def kind(self) -> Any:
        from diffusers import AutoencoderTiny

        return AutoencoderTiny

    def factor(self, autoencoder: Autoencoder) -> int:
        return int(2 ** (len(autoencoder.config.encoder_block_out_channels) - 1))


@dataclass(frozen=True)
class PretrainedVq(Stored):
    """Codes of a `VQModel` in a folder or on the hub (LDM, arXiv:2112.10752)."""

    path: str

    def kind(self) -> Any:
        from diffusers import VQModel

        return VQModel

    def module(self, shape: tuple[int, int, int], autoencoder: Autoencoder, factor: int) -> CodesModule:
        return CodesModule(shape, autoencoder, factor, self.latents)


def _noise(image: Tensor, shape: torch.Size) -> Tensor:
    """Normal numbers derived from an image uint8 [C,H,W']."""
    content = hashlib.blake2b(image.cpu().contiguous().numpy().tobytes(), digest_size=8).digest()
    return torch.randn(shape, generator=Generator().manual_seed(int.from_bytes(content) >> 1))


@hookimpl
def mgbench_tokenizers() -> dict[str, type]:
    return {
        "pretrained_kl": PretrainedKl,
        "dc_ae": DcAe,
        "pretrained_tiny": PretrainedTiny,
        "pretrained_vq": PretrainedVq,
    }
